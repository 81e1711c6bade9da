package diffusioninst

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"slices"

	"github.com/diffusioninst/go/internal/imagecheck"
	"github.com/diffusioninst/go/internal/pipeline"
	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// Segment finds the instances in a picture. One that stays in its file, as a
// [picture.Source] does, is read view by view: of a tiled one no more than the tiles that go
// through the network together is ever held. Cancelling ctx ends it at the next
// operator of the network. Errors: *OptionError, *ImageError, *LimitError, *sampler.StepError
// (which wraps *nn.NotFiniteError), *torch.Error (which wraps torch.ErrOutOfMemory if that is the cause;
// a batch is then tried again in two halves, once), ErrClosed and ctx's own; with
// Options.Augment they are wrapped in a *ViewError. Inside another call, as in a sampler,
// it is torch.ErrNested. A panic of a sampler, a backbone or OnStep goes on in the caller.
func (m *Model) Segment(ctx context.Context, img image.Image, o Options) (*Result, error) {
	results, err := m.SegmentBatch(ctx, []image.Image{img}, o)
	if err != nil {
		return nil, err
	}
	return results[0], nil
}

// SegmentBatch finds the instances in several pictures. On a GPU those that are not cut into
// tiles go through the network together, padded to a common size: that needs as many
// times the memory, and pays there. On a processor small ones of one size do, and others go one by one while the next is prepared.
// Picture i gets the noise that Segment would give
// it with Seed+i. Errors are Segment's.
func (m *Model) SegmentBatch(ctx context.Context, images []image.Image, o Options) ([]*Result, error) {
	return m.segment(ctx, images, nil, o)
}

// apart is settings.divisor of calls: pixels of padding cost a processor as much as others.
func (m *Model) apart() int {
	if m.device.IsCUDA() {
		return 0
	}
	strides := m.backbone.Strides()
	return strides[len(strides)-1]
}

// segment is SegmentBatch; tensor, if not nil, has the pixels that images stand for.
func (m *Model) segment(ctx context.Context, images []image.Image, tensor *torch.Tensor, o Options) ([]*Result, error) {
	if err := m.made(); err != nil {
		return nil, err
	}
	settings, err := o.resolve(m.config)
	if err != nil {
		return nil, err
	}
	if m.device.IsCUDA() && o.MaxBytes == 0 {
		settings.maxBytes = 0 // a GPU that is full is an error, not the end of the process
	}
	settings.divisor = m.apart()
	q, err := newRequest(settings, images)
	if err == nil {
		q.tensor = tensor
		err = q.checkMemory(m.config, m.backbone.Strides())
	}
	if err != nil {
		return nil, err
	}
	if torch.Inside() {
		return nil, fmt.Errorf("diffusioninst: Segment called by a sampler, a backbone or OnStep: %w", torch.ErrNested)
	}
	if err := m.gate.enter(); err != nil {
		return nil, err
	}
	defer m.gate.leave()
	r, leave, err := m.take(tensor)
	if err != nil {
		return nil, err
	}
	defer leave()
	if !r.device.IsCUDA() {
		defer torch.ReuseMemory()()
	}
	return q.run(ctx, r)
}

// request is a call: its settings and pictures, and the views that it is made of.
type request struct {
	*settings
	images    []image.Image // in run as the network gets them, in 8 bits
	tensor    *torch.Tensor // the pixels of all images, of SegmentTensor; nil if they have them
	warnings  []string      // about each of them
	passes    [][]view
	byPicture [][]view        // in the order in which the passes see them
	held      int64           // bytes of the masks that are kept for the results
	enough    map[[2]int]bool // by picture and the sizes below which have been looked at: whether they are enough
	left      map[[2]int]bool // by picture and size: left out of byPicture
}

func newRequest(s *settings, images []image.Image) (*request, error) {
	q := &request{
		settings: s, images: make([]image.Image, len(images)), warnings: make([]string, len(images)), byPicture: make([][]view, len(images)),
		enough: map[[2]int]bool{}, left: map[[2]int]bool{},
	}
	if s.seeds != nil && len(s.seeds) != len(images) {
		return nil, optionError("Seeds", "%d seeds for %d pictures", len(s.seeds), len(images))
	}
	var sizes []image.Point
	for i, img := range images {
		if p, ok := img.(*picture.Picture); ok && p != nil {
			img = p.Image
		}
		q.images[i] = img
		if err := checkImage(img); err != nil {
			return nil, q.name(i, err)
		}
		sizes = append(sizes, img.Bounds().Size())
	}
	if err := s.checkCount(sizes); err != nil {
		return nil, err
	}
	var views []view
	for i, size := range sizes {
		of := s.views(i, size)
		if err := checkViews(of); err != nil {
			return nil, q.name(i, err)
		}
		views = append(views, of...)
	}
	q.passes = passes(views, s.proposals, s.divisor)
	slices.SortStableFunc(q.passes, func(a, b []view) int { return cmp.Compare(a[0].factor, b[0].factor) })
	for _, views := range q.passes {
		for _, v := range views {
			q.byPicture[v.picture] = append(q.byPicture[v.picture], v)
		}
	}
	return q, nil
}

// normalized returns a picture in 8 bits, and a warning about its range.
func (s *settings) normalized(img image.Image) (out image.Image, warning string, err error) {
	var unreadable error
	if err = imagecheck.Guard(func() { out, warning, unreadable = s.normalize.Apply(img) }); err == nil {
		err = unreadable
	}
	if err != nil {
		return nil, "", &ImageError{img.Bounds().Dx(), img.Bounds().Dy(), err.Error(), err}
	}
	return out, warning, nil
}

// run looks at all views and merges what they have found.
func (q *request) run(ctx context.Context, m *Model) ([]*Result, error) {
	for i, img := range q.images {
		if q.tensor != nil {
			break
		}
		var err error
		if q.images[i], q.warnings[i], err = q.normalized(img); err != nil {
			return nil, q.name(i, err)
		}
	}
	found := make([][][]Instance, len(q.images)) // by picture and view
	record := &recorder{request: q, steps: map[[3]int]*recorded{}}
	err := pipeline.Run(ctx, pipeline.Stages[*prepared]{
		Read: q.reader(),
		Work: func(_ context.Context, p *prepared) error { // which asks the caller's context itself
			if p.views = q.wanted(p.views, found, record); len(p.views) == 0 {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return q.wrap(p.views[0], err)
			}
			lists, err := q.look(ctx, m, p, record)
			if err != nil {
				return err
			}
			for i, list := range lists {
				found[p.views[i].picture] = append(found[p.views[i].picture], list)
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	out := make([]*Result, len(q.images))
	q.part(ctx, "merge", func() {
		for i := range out {
			out[i] = q.merge(q.byPicture[i], found[i])
			out[i].Warning = q.warnings[i]
		}
	})
	return out, nil
}

// look takes views through the network and returns what it finds in each. If memory runs out, it drops the model's
// graphs and takes them in two halves, once: what LibTorch and the first try held is free by then. The noise of a
// view does not depend on the others.
func (q *request) look(ctx context.Context, m *Model, p *prepared, record *recorder) ([][]Instance, error) {
	if p.pixels == nil {
		q.prepare(ctx, p)
	}
	if q.onPart != nil {
		q.onPart("prepare", p.took)
	}
	if p.err != nil {
		return nil, p.err
	}
	held := q.held
	out, err := q.pass(ctx, m, p.views, p.pixels, record)
	if !errors.Is(err, torch.ErrOutOfMemory) {
		return out, err
	}
	dropped := m.graphs.drop()
	if q.onStep != nil || len(p.views) < 2 && !dropped { // OnStep has been told of steps
		return out, err
	}
	q.held = held
	half := (len(p.views) + 1) / 2
	out, err = q.pass(ctx, m, p.views[:half], p.pixels[:half], record)
	if err != nil || half == len(p.views) {
		return out, err
	}
	rest, err := q.pass(ctx, m, p.views[half:], p.pixels[half:], record)
	return append(out, rest...), err
}

// pass takes views with their pixels through the network at once.
func (q *request) pass(ctx context.Context, m *Model, views []view, pixels []Pixels, record *recorder) (found [][]Instance, err error) {
	p := &pass{settings: q.settings, model: m, views: views, pixels: pixels, tensor: q.tensor, alone: len(q.byPicture[views[0].picture]) == 1, held: &q.held}
	var seeds []uint64
	for _, v := range views {
		seeds = append(seeds, v.seed)
	}
	if q.onStep != nil {
		p.onStep = func(at sampler.Moment, i int, boxes []Box, scores []float32, found []Instance) {
			record.add(views[i], p.restart, at, boxes, scores, found)
		}
	}
	err = torch.Do(ctx, func(s *torch.Scope) (err error) {
		s.StopWith(ctx)
		return m.graphs.with(func(set *graphSet) error {
			p.graphs = set
			found, err = p.run(ctx, s, q.noises(seeds)...)
			return err
		})
	})
	if done := ctx.Err(); done != nil && errors.Is(err, done) {
		err = done // whichever operator met it
	}
	if err != nil {
		return nil, q.wrap(views[0], err)
	}
	return found, nil
}

// noises returns the noise of each restart for views with these seeds.
func (q *request) noises(seeds []uint64) []sampler.Noise {
	out := make([]sampler.Noise, q.restarts)
	for r := range out {
		of := make([]uint64, len(seeds))
		for i, seed := range seeds {
			of[i] = seed + uint64(r)*restartSeed
		}
		out[r] = sampler.SeededNoise(of...)
	}
	return out
}

// wanted leaves out the views of sizes that pictures need not be looked at in, after what was
// found in the smaller ones, and forgets them. Sizes that agree are judged by the smallest, so that a mean is
// over all or over that alone.
func (q *request) wanted(views []view, found [][][]Instance, record *recorder) []view {
	k := views[0].factor
	if k == 0 {
		return views
	}
	judges := k
	if q.scales.agree() {
		judges = 1
	}
	var out []view
	for _, v := range views {
		below := [2]int{v.picture, judges}
		enough, known := q.enough[below]
		if !known {
			all, n := q.byPicture[v.picture], 0
			for n < len(all) && all[n].factor < judges {
				n++
			}
			enough = q.scales.enough(q.sizes(all[:n], found[v.picture][:n]))
			q.enough[below] = enough
		}
		if !enough {
			out = append(out, v)
		} else if size := [2]int{v.picture, k}; !q.left[size] {
			q.left[size] = true
			q.byPicture[v.picture] = slices.DeleteFunc(q.byPicture[v.picture], func(v view) bool { return v.factor == k })
			record.settleAll(v.picture)
		}
	}
	return out
}

// wrap says in which of several looks an error came up.
func (q *request) wrap(v view, err error) error {
	if len(q.looks) == 1 {
		return err
	}
	view := &ViewError{Scale: v.scale, Mirrored: v.mirrored, Err: err}
	if len(q.scales.Factors) > 1 {
		view.Factor = q.scales.Factors[v.factor]
	}
	return view
}

// name says which of several pictures an error is about.
func (q *request) name(picture int, err error) error {
	if len(q.images) == 1 {
		return err
	}
	return &pictureError{picture, err}
}

// pictureError says which of several pictures an error is about.
type pictureError struct {
	index int
	err   error
}

func (e *pictureError) Error() string {
	if image, ok := e.err.(*ImageError); ok {
		return "diffusioninst: " + image.ofPicture(e.index)
	}
	return fmt.Sprintf("diffusioninst: picture %d: %s", e.index, detailOf(e.err))
}

func (e *pictureError) Unwrap() error { return e.err }

// detailOf returns what an error of this package says without the name of the package, and of another one all.
func detailOf(err error) string {
	if e, ok := err.(interface{ detail() string }); ok {
		return e.detail()
	}
	return err.Error()
}
