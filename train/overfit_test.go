package train

import (
	"context"
	"image"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// TestOverfit trains on a batch of two pictures until the model finds everything on them,
// for 1500 steps at most.
// The objects' edges lie on multiples of 4, where mask targets, a sample every four pixels,
// tell them exactly.
func TestOverfit(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for a while")
	}
	modeltest.EachDevice(t, overfit)
}

func overfit(t *testing.T, device torch.Device) {
	box := func(x, y, w, h float32) diffusioninst.Box {
		return diffusioninst.Box{X1: x, Y1: y, X2: x + w, Y2: y + h}
	}
	batch := []data.Sample{
		picture("a", 128, 128, 2, box(8, 12, 56, 44), box(68, 64, 52, 56)),
		picture("b", 128, 128, 2, box(64, 4, 60, 52), box(8, 68, 52, 52)),
	}
	c := diffusioninst.Config{
		Backbone:   backbone.ResNetFPN{Channels: 32, ResNet: backbone.ResNet{Depth: 18, StemChannels: 16, Res2Channels: 16, Norm: nn.BatchNorm}},
		Decoder:    decoder.Config{Hidden: 32, Dynamic: 8, FeedForward: 64, Heads: 4, Stages: 3},
		MaskBranch: maskhead.BranchConfig{Width: 32, Convs: 2},
		Proposals:  32,
		Classes:    []string{"a", "b"},
		Input:      diffusioninst.Input{Scale: 1},
	}
	const steps = 1500
	o := Options{Rate: 1.5e-3, Schedule: nn.Warmup{Steps: 20, From: 0.1, Schedule: nn.Cosine{Steps: steps}}, Frozen: []string{}, EMA: 0.99, Seed: 1}
	tr := newTrainerOn(t, device, c, o)
	for i := range steps {
		r, err := tr.Step(context.Background(), batch)
		require.NoError(t, err)
		if done := i + 1; done%50 == 0 {
			ap := precisionOn(t, tr, batch)
			t.Logf("%d steps: loss %.3f, AP %.3f", done, r.Total, ap)
			if ap > 0.9 {
				return
			}
		}
	}
	t.Errorf("AP stays below 0.9")
}

// precisionOn is the AP of the masks that a trainer's model finds on samples.
func precisionOn(t *testing.T, tr *Trainer, samples []data.Sample) float64 {
	t.Helper()
	model, err := tr.Snapshot(context.Background())
	require.NoError(t, err)
	defer model.Close()
	set := coco.NewBuilder([]coco.Category{{ID: 1, Name: "a"}, {ID: 2, Name: "b"}})
	var found []coco.Result
	for i, s := range samples {
		truth := &coco.LabeledImage{ImageID: int64(i + 1), FileName: s.ID, Width: s.Width, Height: s.Height}
		img := image.NewRGBA(image.Rect(0, 0, s.Width, s.Height))
		for k := range s.Width * s.Height {
			copy(img.Pix[4*k:], append(s.RGB[3*k:3*k+3:3*k+3], 255))
		}
		for _, o := range s.Objects {
			truth.Instances = append(truth.Instances, coco.LabeledInstance{CategoryID: int64(o.Class + 1), Mask: o.Mask.RLE()})
		}
		require.NoError(t, set.Add(truth))
		r, err := model.Segment(context.Background(), img, diffusioninst.Options{Score: 0.05})
		require.NoError(t, err)
		p := &coco.LabeledImage{ImageID: truth.ImageID, Width: s.Width, Height: s.Height}
		for _, in := range r.Instances {
			p.Instances = append(p.Instances, coco.LabeledInstance{CategoryID: int64(in.Class + 1), Score: float64(in.Score), HasScore: true, Mask: in.Mask.RLE()})
		}
		found = append(found, p.Results()...)
	}
	report, err := coco.Evaluate(context.Background(), &set.Dataset, found, coco.Options{})
	require.NoError(t, err)
	ap, _ := report.Metric("AP")
	ap50, _ := report.Metric("AP50")
	t.Logf("AP50 %.3f", ap50)
	return ap
}
