package diffusioninst

import (
	"cmp"
	"context"
	"fmt"
	"runtime/trace"
	"time"

	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/sampler"
)

// Options are the settings of one call. The zero value of a field means the model's
// own setting, and a negative one means none where that makes sense. Options that
// contradict each other, or the model, are an *OptionError.
type Options struct {
	Steps     int     // denoising steps; more are slower and may be better
	Proposals int     // boxes that are denoised at once
	Score     float64 // least score of an instance: 0.5; negative for none
	Limit     int     // greatest number of instances per picture, the best ones; 0 or negative for all
	// Seed is the seed of the noise. Picture i of a batch, tile j of a picture and scale
	// k of Augment get the noise of Seed + i + j·(number of scales) + k. The sizes of Scales
	// after the first, and restarts, have others.
	Seed uint64
	// Seeds, if not nil, has a seed for each picture of a batch, in place of Seed + i: a picture
	// then gets the noise that Segment would give it, whatever else is in the batch. It excludes
	// Seed.
	Seeds []uint64
	// Scale multiplies a picture's sides in place of the model's Input.Short or
	// Input.Scale: 0.5 for objects that are twice as large as those that the model has
	// learned. It excludes Augment.Scales.
	Scale float64
	// Tile is the side of the tiles in which larger pictures are segmented, in pixels of
	// the network's input; see Input.Tile. Negative for none.
	Tile int
	// Normalize says how samples become the 0 to 255 of the network's input, in place of the
	// model's Input.Normalize: picture.None, or "1,99.8" for two percentiles.
	Normalize picture.Normalize
	// Scales are several sizes in which the network sees the picture, in place of the model's
	// Input.Scales: objects of different sizes, merged. Factors of 1 alone are the quick way.
	// It excludes Augment.Scales.
	Scales *Scales
	// Restarts is how often each view is sampled, each time from noise of its own; see
	// Ensemble.Consensus, which makes one result of them. The time of sampling grows with it,
	// that of the backbone does not. 0 or negative for once.
	Restarts  int
	Augment   Augment         // test-time augmentation: several views of the picture, merged
	Sampling  *sampler.Config // in place of the model's; Steps above 0 overrides its Steps
	Ensemble  *Ensemble       // in place of the model's
	MaskScore float64         // weight of masks' quality in scores, in place of the model's; see Config.MaskScore
	// MaxBytes is the most memory that a call may need by an estimate: one that needs more is
	// a *LimitError before it begins. The default is DefaultMaxBytes (8 GiB, less in a smaller
	// container) on the CPU, where a process that runs out of memory is ended, and none on a GPU;
	// negative for none.
	MaxBytes int64
	// MaxViews is the greatest number of views of all pictures of a call, each of which goes
	// through the network: 100,000; negative for none.
	MaxViews int
	// OnStep, if not nil, is called after each denoising step of each picture with what
	// the step made. A picture of several passes through the network, such as a large
	// one in tiles, reports its steps during the last of them. OnStep runs while the
	// network waits: in it Segment and torch.Do return torch.ErrNested.
	OnStep func(*StepResult)
	// OnPart, if not nil, is called with the time that each part of the call has taken, as it
	// ends: "prepare", which resizes the picture, then for each pass through the network
	// "backbone", "mask branch", "sampling" and "masks", and at last "merge". A GPU works on while
	// the parts before "masks" end, and one that records graphs has the mask branch in "backbone". The parts of
	// a pass are reported where OnStep runs, the others from the goroutine of the call: there Model.Close would wait for itself.
	OnPart func(part string, took time.Duration)
	// OnDevicePart, if not nil, is called on a GPU at the end of each pass through the network with the time that each
	// part took by the GPU's clock: "input", which copies the pixels and makes one tensor of them, "backbone", "mask branch", "decoder",
	// all passes through it, "sampling", what is around them, and "masks", which selects instances, too. The times add up to that of the pass, and include
	// those in which the GPU waited for the host. Nothing waits for the GPU meanwhile that would not without. One
	// that records graphs has the mask branch in "backbone". It runs where OnStep does.
	OnDevicePart func(part string, took time.Duration)
}

// OptionError says which option is impossible, and why.
type OptionError struct {
	Option string
	Reason string
	Err    error // cause; may be nil
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("diffusioninst: option %s: %s", e.Option, e.Reason)
}

// Unwrap returns the cause.
func (e *OptionError) Unwrap() error { return e.Err }

func optionError(option, format string, args ...any) error {
	return &OptionError{Option: option, Reason: fmt.Sprintf(format, args...)}
}

// settings are the options of a call over the model's own, all filled in.
type settings struct {
	rules
	looks     []look
	divisor   int // what padded sizes are multiples of, if pictures of different ones go through the network apart; 0 for together
	tile      int // side of a tile in pixels of the network's input; 0 for none
	overlap   int // of tiles; 0 for a quarter, negative for none
	sampling  sampler.Config
	ensemble  Ensemble
	proposals int
	score     float64 // negative for none
	viewScore float64 // of a view's instances: less than score if sizes agree, since a mean has worse ones, too
	limit     int     // 0 for all
	maskScore float64 // 0 for class scores
	nms       float64 // negative for none
	iou       float64 // from which looks are merged; negative for never
	scales    Scales
	restarts  int
	seed      uint64
	seeds     []uint64 // of each picture, in place of seed; nil for none
	maxBytes  int64    // 0 for none
	maxViews  int64    // 0 for none
	normalize picture.Normalize
	onStep    func(*StepResult)
	onPart    func(part string, took time.Duration)

	onDevicePart func(part string, took time.Duration)
}

// part runs one part of a call and reports its time.
func (s *settings) part(ctx context.Context, name string, f func()) {
	start := time.Now()
	trace.WithRegion(ctx, "diffusioninst."+name, f)
	if s.onPart != nil {
		s.onPart(name, time.Since(start))
	}
}

// resolve fills in the settings of the model c.
func (o Options) resolve(c Config) (*settings, error) {
	s := &settings{
		rules: c.Quirks.rules(), sampling: c.Sampling, ensemble: c.Ensemble, proposals: c.Proposals,
		score: o.Score, limit: max(o.Limit, 0), nms: c.NMS, seed: o.Seed, seeds: o.Seeds, onStep: o.OnStep, onPart: o.OnPart, onDevicePart: o.OnDevicePart,
		normalize: cmp.Or(o.Normalize, c.Input.Normalize),
	}
	if err := s.normalize.Check(); err != nil {
		return nil, &OptionError{"Normalize", err.Error(), err}
	}
	s.maxBytes = max(cmp.Or(o.MaxBytes, DefaultMaxBytes()), 0)
	s.maxViews = max(cmp.Or(int64(o.MaxViews), defaultMaxViews), 0)
	if o.Ensemble != nil {
		s.ensemble = *o.Ensemble
		if problem := s.ensemble.problem(); problem != "" {
			return nil, &OptionError{"Ensemble", problem, s.ensemble.check()}
		}
	}
	if o.Seeds != nil && o.Seed != 0 {
		return nil, optionError("Seeds", "it excludes Seed, which is %d", o.Seed)
	}
	s.restarts = max(o.Restarts, 1)
	if s.restarts > mostRestarts {
		return nil, optionError("Restarts", "%d: at most %d", o.Restarts, mostRestarts)
	}
	s.ensemble = s.ensemble.agree(s.restarts)
	if err := c.Quirks.conflict(o, s.ensemble); err != nil {
		return nil, err
	}
	if o.Ensemble != nil && s.ensemble.Boxes && !(s.ensemble.Consensus > 0) {
		return nil, optionError("Ensemble", "Boxes without a Consensus, which alone compares them")
	}
	switch {
	case s.noThreshold:
		s.score = -1
	case o.Score == 0:
		s.score = 0.5
	case !(o.Score <= 1):
		return nil, optionError("Score", "%v: no score exceeds 1", o.Score)
	}
	if s.maskScore = max(cmp.Or(o.MaskScore, c.MaskScore), 0); !checkMaskScore(s.maskScore) {
		return nil, optionError("MaskScore", "%v: it is a weight of at most %v", o.MaskScore, mostMaskScore)
	}
	if o.Proposals != 0 {
		s.proposals = o.Proposals
	}
	if s.proposals < 1 || s.proposals > maxProposals {
		return nil, optionError("Proposals", "%d: want 1 to %d", s.proposals, maxProposals)
	}
	if err := s.sample(o); err != nil {
		return nil, err
	}
	return s, s.view(o, c.Input)
}

// mostRestarts bounds the memory of what restarts find.
const mostRestarts = 1000

// maxProposals bounds the memory of the self-attention, which grows with the square.
const maxProposals = 20000

// sample resolves how the state is sampled.
func (s *settings) sample(o Options) error {
	option := "Steps"
	if o.Sampling != nil {
		s.sampling, option = *o.Sampling, "Sampling"
	}
	if o.Steps < 0 {
		return optionError("Steps", "%d: at least one step is required", o.Steps)
	}
	if o.Steps > 0 {
		s.sampling.Steps = o.Steps
	}
	s.sampling.Float64 = s.sampling.Float64 || s.float64State
	var err error
	if s.sampling, err = s.sampling.WithDefaults(); err != nil {
		return &OptionError{option, err.Error(), err}
	}
	return nil
}

// view resolves the looks and the tiles.
func (s *settings) view(o Options, in Input) error {
	if !(o.Scale >= 0 && o.Scale <= maxScale) {
		return optionError("Scale", "%v: want above 0 to %d", o.Scale, maxScale)
	}
	if o.Scale > 0 {
		if len(o.Augment.Scales) > 0 {
			return optionError("Scale", "Augment.Scales says the size of each view: give one of the two")
		}
		if in.Scale <= 0 {
			in.Short, in.Longest = 0, 0 // a limit for Short is not meant for Scale
		}
		in.Scale = o.Scale
	}
	s.tile, s.overlap = max(in.Tile, 0), in.Overlap
	switch {
	case o.Tile < 0:
		s.tile = 0
	case o.Tile > 0 && in.Scale <= 0:
		return optionError("Tile", "%d: the model resizes whole pictures (Input.Short); give a Scale, too", o.Tile)
	case o.Tile > 0 && o.Tile < minTile:
		return optionError("Tile", "%d: at least %d pixels are required", o.Tile, minTile)
	case o.Tile > 0:
		s.tile = o.Tile
	}
	if s.overlap >= s.tile {
		s.overlap = 0 // the model's is for larger tiles
	}
	var err error
	if s.scales, err = o.Scales.over(in.Scales); err != nil {
		return err
	}
	if err := o.Scales.conflict(s.scales); err != nil {
		return err
	}
	given := o.Scales != nil && len(o.Scales.Factors) > 0
	if !given {
		s.scales.Factors = in.possible(s.scales.Factors)
	}
	if len(o.Augment.Scales) > 0 {
		if given {
			return optionError("Scales", "Augment.Scales says the size of each view: give one of the two")
		}
		s.scales.Factors = []float64{1}
	}
	if s.viewScore = s.score; s.scales.agree() {
		s.viewScore = min(s.score, leastVote)
		if o.Augment.IoU != 0 {
			return optionError("Augment.IoU", "%v: Scales.Consensus says when views of several sizes have found the same object: give one of the two", o.Augment.IoU)
		}
	}
	if s.iou, err = o.Augment.threshold(); err == nil {
		s.looks, err = o.Augment.looks(in, s.scales.Factors)
	}
	if err == nil && o.Augment.IoU != 0 && len(s.looks) == len(s.scales.Factors) {
		return optionError("Augment.IoU", "%v: there is one view, with which nothing is merged: give Flip or several Augment.Scales, too", o.Augment.IoU)
	}
	return err
}
