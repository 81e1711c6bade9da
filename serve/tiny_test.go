package serve

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/leak"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

func TestMain(m *testing.M) { leak.Main(m) }

// tinyModel is an untrained model whose calls take a millisecond or two. It is closed with the
// test, after which no tensor may be left.
func tinyModel(t testing.TB) *diffusioninst.Model {
	t.Helper()
	before := torch.Live()
	m := newTiny(t)
	t.Cleanup(func() {
		require.NoError(t, m.Close())
		require.Equal(t, before, torch.Live(), "tensors left behind")
	})
	return m
}

// newTiny is the model of tinyModel, for the caller to close, or one of other classes.
func newTiny(t testing.TB, classes ...string) *diffusioninst.Model {
	t.Helper()
	if classes == nil {
		classes = []string{"circle"}
	}
	m, err := diffusioninst.New(context.Background(), diffusioninst.Config{
		Backbone: backbone.BuilderFunc(func(p nn.Path) (backbone.Backbone, error) {
			return tinyBackbone{nn.NewConv2d(p.Sub("stem"), 3, 4, nn.ConvOptions{Stride: 8, Bias: true})}, nil
		}),
		Decoder:    decoder.Config{Dynamic: 2, FeedForward: 4, Heads: 1, Hidden: 4, Stages: 1, Bins: 2, Samples: 1, ClassLayers: -1, BoxLayers: -1},
		MaskBranch: maskhead.BranchConfig{Width: 4},
		Classes:    classes,
		Proposals:  4,
		Input:      diffusioninst.Input{Short: 32, Longest: 64},
	}, 1, torch.CPU)
	require.NoError(t, err)
	return m
}

type tinyBackbone struct{ stem *nn.Conv2d }

func (b tinyBackbone) Forward(x *torch.Tensor) []*torch.Tensor {
	levels := []*torch.Tensor{b.stem.Forward(x)}
	for range 2 {
		levels = append(levels, levels[len(levels)-1].MaxPool2d([]int{1, 1}, []int{2, 2}, []int{0, 0}))
	}
	return levels
}

func (tinyBackbone) Strides() []int { return []int{8, 16, 32} }
func (tinyBackbone) Channels() int  { return 4 }

// A gate is a sampler that does something between the two steps of each call.
type gate struct{ between func() }

func (gate) String() string { return "gate" }

func (g gate) Step(s *sampler.Step) (*torch.Tensor, error) {
	g.between()
	return sampler.DDIM{Eta: 1}.Step(s)
}

// gated are options of calls that do something in the middle.
func gated(between func()) diffusioninst.Options {
	o := everything
	o.Sampling = &sampler.Config{Steps: 2, Sampler: gate{between}}
	return o
}

// everything asks for every candidate, as an untrained model scores low.
var everything = diffusioninst.Options{Score: -1}

// byHeader names clients by a header, for tests of several from one address.
func byHeader(r *http.Request) string { return r.Header.Get("Client") }

// A recorder keeps the log.
type recorder struct {
	sync.Mutex
	text bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.Lock()
	defer r.Unlock()
	return r.text.Write(p)
}

func (r *recorder) String() string {
	r.Lock()
	defer r.Unlock()
	return r.text.String()
}

// newServer is a server of one tiny model. At the end of the test it must be empty.
func newServer(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := New(map[string]*diffusioninst.Model{"tiny": tinyModel(t)}, o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.Shutdown(context.Background()))
		a := s.admission
		require.Zero(t, a.inside)
		require.Zero(t, a.held, "bytes")
		require.Empty(t, a.clients)
		require.Empty(t, s.scheduler.turns)
		require.Empty(t, s.scheduler.waiting)
		s.scheduler.lock.Lock()
		defer s.scheduler.lock.Unlock()
		require.Zero(t, s.scheduler.running)
	})
	return s
}

// somePNG is a picture with some structure.
func somePNG(t testing.TB, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, pattern(w, h)))
	return b.Bytes()
}

func pattern(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetRGBA(x, y, color.RGBA{uint8(3 * x), uint8(5 * y), uint8(x * y), 255})
		}
	}
	return img
}

// post sends a body to a handler. Headers are "Name: value".
func post(h http.Handler, path string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	return send(h, httptest.NewRequest("POST", path, body), headers...)
}

func send(h http.Handler, r *http.Request, headers ...string) *httptest.ResponseRecorder {
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
