package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/torch"
)

// Models are replaced and closed again and again under load, and every request is answered.
func TestReplaceLosesNothing(t *testing.T) {
	s := newServer(t, Options{Segment: everything, PerClient: -1, Batch: 2, BatchWait: -1})
	data := somePNG(t, 40, 40)
	want := post(s, "/v1/segment", bytes.NewReader(data)).Body.String()
	var stop atomic.Bool
	var answered atomic.Int64
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for !stop.Load() {
				if w := post(s, "/v1/segment", bytes.NewReader(data)); w.Code != http.StatusOK {
					t.Errorf("%d: %s", w.Code, w.Body)
					return
				}
				answered.Add(1)
			}
		})
	}
	for range 15 {
		old, err := s.Replace(context.Background(), "tiny", newTiny(t))
		require.NoError(t, err)
		require.NoError(t, old.Close())
		before := answered.Load()
		eventually(t, func() bool { return answered.Load() > before || t.Failed() })
	}
	stop.Store(true)
	all.Wait()
	require.Equal(t, want, post(s, "/v1/segment", bytes.NewReader(data)).Body.String(), "the models are equal")
	require.NoError(t, s.Shutdown(context.Background()))
	require.NoError(t, s.models["tiny"].model.Load().Close())
}

// Steps have the classes of the model that made them, which may have others than the one that it
// replaced while they waited.
func TestStepsOfAReplacedModel(t *testing.T) {
	entered, open := make(chan struct{}, 9), make(chan struct{})
	s := newServer(t, Options{Segment: gated(func() { entered <- struct{}{}; <-open })})
	data, newer := somePNG(t, 40, 40), newTiny(t, "square", "triangle", "circle")
	var all sync.WaitGroup
	started(&all, s, context.Background(), "/v1/segment", data, "")
	<-entered
	stream := started(&all, s, context.Background(), "/v1/segment/stream?proposals=20", data, "")
	eventually(t, func() bool { return s.scheduler.queued() == 1 })
	old := s.models["tiny"].model.Swap(newer)
	close(open)
	all.Wait()
	for _, e := range events(t, stream.Body.String()) {
		require.NotEqual(t, "error", e[0], e[1])
		var step Step
		require.NoError(t, json.Unmarshal([]byte(e[1]), &step))
		for _, in := range step.Instances {
			require.Equal(t, []string{"square", "triangle", "circle"}[in.CategoryID-1], in.Category)
		}
	}
	require.NoError(t, s.Shutdown(context.Background()))
	require.NoError(t, s.models["tiny"].model.Swap(old).Close())
}

func TestReplaceRefuses(t *testing.T) {
	s := newServer(t, Options{Segment: everything})
	m := tinyModel(t)
	for name, model := range map[string]*diffusioninst.Model{"other": m, "tiny": nil} {
		_, err := s.Replace(context.Background(), name, model)
		require.ErrorContains(t, err, "serve: ")
	}
	_, err := s.Replace(context.Background(), "tiny", s.models["tiny"].model.Load())
	require.ErrorContains(t, err, "by itself")
	closed := newTiny(t)
	require.NoError(t, closed.Close())
	_, err = s.Replace(context.Background(), "tiny", closed)
	require.ErrorIs(t, err, diffusioninst.ErrClosed)
	c := m.Config()
	c.Input.Normalize = picture.None
	other, err := diffusioninst.New(context.Background(), c, 1, torch.CPU)
	require.NoError(t, err)
	_, err = s.Replace(context.Background(), "tiny", other)
	require.ErrorContains(t, err, "normalizes pictures by none and the old one by auto")
	require.NoError(t, other.Close())
	require.Equal(t, http.StatusOK, post(s, "/v1/segment", bytes.NewReader(somePNG(t, 40, 40))).Code, "the old one stays")
}
