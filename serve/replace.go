package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/picture"
)

// Replace puts a model in the place of the one of this name, once it has segmented a picture, and
// returns the old one, which the caller may close at once, if it has no other name: no request is lost. Those that run end
// on the old model, and those that wait run on the new one, for which it must normalize pictures as the old one does. If the
// new model cannot be used the old one stays.
func (s *Server) Replace(ctx context.Context, name string, m *diffusioninst.Model) (old *diffusioninst.Model, err error) {
	if err := s.made(); err != nil {
		return nil, err
	}
	e := s.models[name]
	switch {
	case e == nil:
		return nil, fmt.Errorf("serve: there is no model %q to replace", name)
	case m == nil:
		return nil, errors.New("serve: Replace without a model")
	case m == e.model.Load():
		return nil, fmt.Errorf("serve: replacing model %s by itself", name) // or the caller would close it
	}
	if of, is := s.normalizes(m), s.normalizes(e.model.Load()); of != is {
		return nil, fmt.Errorf("serve: replacing model %s: the new one normalizes pictures by %s and the old one by %s, as which those that wait have been read: serve it under another name, or start again", name, of, is)
	}
	err = m.Check(s.options.Segment)
	if err == nil {
		err = warm(ctx, m, s.options.Segment)
	}
	if err != nil {
		return nil, fmt.Errorf("serve: replacing model %s: %w", name, err)
	}
	return e.model.Swap(m), nil
}

// normalizes returns how pictures are normalized for a model, unless their requests say otherwise.
func (s *Server) normalizes(m *diffusioninst.Model) picture.Normalize {
	return cmp.Or(s.options.Segment.Normalize, m.Config().Input.Normalize, picture.Auto)
}
