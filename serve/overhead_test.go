package serve

import (
	"bytes"
	"context"
	"image"
	"image/draw"
	"image/png"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nuclei"
	"github.com/diffusioninst/go/picture"
)

var oneSize = diffusioninst.Options{Scales: &diffusioninst.Scales{Factors: []float64{1}}}

// nucleiServer is a server of the built-in model with a corner of the demo's picture of 256×256.
func nucleiServer(b *testing.B, o Options) (m *diffusioninst.Model, address string, data []byte) {
	m, err := nuclei.Load(context.Background(), diffusioninst.LoadOptions{})
	require.NoError(b, err)
	b.Cleanup(func() { _ = m.Close() })
	o.PerClient, o.Segment = -1, oneSize
	s, err := New(map[string]*diffusioninst.Model{"nuclei": m}, o)
	require.NoError(b, err)
	b.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	file, err := os.ReadFile("../examples/segment_image/nuclei.png")
	require.NoError(b, err)
	whole, err := picture.Decode(bytes.NewReader(file), picture.Options{})
	require.NoError(b, err)
	corner := image.NewRGBA(image.Rect(0, 0, 256, 256))
	draw.Draw(corner, corner.Rect, whole, whole.Bounds().Min, draw.Src)
	var out bytes.Buffer
	require.NoError(b, png.Encode(&out, corner))
	return m, "http://" + listening(b, s), out.Bytes()
}

func postPicture(b *testing.B, address string, data []byte) {
	answer, err := http.Post(address+"/v1/segment", "image/png", bytes.NewReader(data))
	if err != nil {
		b.Error(err)
		return
	}
	defer answer.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		b.Error(answer.Status, err, body.String())
	}
}

// BenchmarkOverhead times by turns a request over loopback and what it does: the picture is decoded and
// segmented. Both are medians; "over-ms" is their difference, with the answer's JSON in it.
func BenchmarkOverhead(b *testing.B) {
	m, address, data := nucleiServer(b, Options{})
	call := func() {
		img, err := picture.Decode(bytes.NewReader(data), picture.Options{})
		require.NoError(b, err)
		_, err = m.Segment(context.Background(), img, oneSize)
		require.NoError(b, err)
	}
	byTurns(b, call, func() { postPicture(b, address, data) })
}

// BenchmarkSaturation times by turns 32 requests of 16 clients to a server with batches of 4, and 8 calls
// of SegmentBatch.
func BenchmarkSaturation(b *testing.B) {
	const batch, count, clients = 4, 32, 16
	m, address, data := nucleiServer(b, Options{Batch: batch})
	call := func() {
		for range count / batch {
			images := make([]image.Image, batch)
			for i := range images {
				img, err := picture.Decode(bytes.NewReader(data), picture.Options{})
				require.NoError(b, err)
				images[i] = img
			}
			_, err := m.SegmentBatch(context.Background(), images, oneSize)
			require.NoError(b, err)
		}
	}
	byTurns(b, call, func() {
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				for range count / clients {
					postPicture(b, address, data)
				}
			})
		}
		all.Wait()
	})
}

// byTurns reports the medians of what f and of what g takes, and their difference and ratio.
func byTurns(b *testing.B, f, g func()) {
	f()
	g()
	var inF, inG []time.Duration
	for b.Loop() {
		start := time.Now()
		f()
		between := time.Now()
		g()
		inF, inG = append(inF, between.Sub(start)), append(inG, time.Since(between))
	}
	slices.Sort(inF)
	slices.Sort(inG)
	sdk, http := milliseconds(inF[len(inF)/2]), milliseconds(inG[len(inG)/2])
	b.ReportMetric(sdk, "sdk-ms")
	b.ReportMetric(http, "http-ms")
	b.ReportMetric(http-sdk, "over-ms")
	b.ReportMetric(http/sdk, "http/sdk")
}
