package serve

import (
	"context"
	"errors"
	"fmt"

	"github.com/diffusioninst/go/diffusioninst"
)

// Replace puts a model in the place of the one of this name, once it has segmented a picture, and
// returns the old one, which the caller may close at once, if it has no other name: no request is lost. Those that run end
// on the old model, and those that wait run on the new one. If the new model cannot be used the old
// one stays.
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
	err = m.Check(s.options.Segment)
	if err == nil {
		err = warm(ctx, m, s.options.Segment)
	}
	if err != nil {
		return nil, fmt.Errorf("serve: replacing model %s: %w", name, err)
	}
	return e.model.Swap(m), nil
}
