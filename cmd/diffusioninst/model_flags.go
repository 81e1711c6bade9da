//go:build cgo

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/torch"
)

// untrained is the value of --weights for a model with random weights.
const untrained = "untrained"

// tf32Usage explains --tf32.
const tf32Usage = "let a GPU compute float32 products in TF32 (10 bits of mantissa): faster, but less exact"

// graphsUsage explains --graphs.
const graphsUsage = "let a GPU record its work for each size of picture as CUDA graphs, which cost few launches (LibTorch 2.1 or later; not yet measured)"

// normUsage explains --norm.
const normUsage = `how samples become the 8 bits that the network sees: auto (pictures of more than 8 bits are stretched), none, two percentiles such as 1,99.8, or two sample values such as 100,1000; two numbers from 0 to 100 are percentiles unless one ends in v, as in 0v,1v (default: the model's, usually auto)`

// modelFlags are the flags of all commands that run a model.
type modelFlags struct {
	weights, config, device string
	threads                 int
	several                 bool // whether --device may name several
	tf32, graphs            bool
	ema                     emaFlag
	precision               precisionFlag
	memory                  float64 // of --max-memory
	scales                  []float64
	consensus               float64
	set                     func(name string) bool // whether the user gave the flag
	options                 diffusioninst.Options
	calibrator              *nn.Calibrator // of the quantize command
}

func (m *modelFlags) add(cmd *cobra.Command) {
	m.addLoading(cmd)
	f := cmd.Flags()
	f.IntVar(&m.options.Steps, "steps", 0, "denoising steps (default: the model's, usually 1)")
	m.addScale(cmd)
	m.addScales(cmd)
	f.IntVar(&m.options.Restarts, "restarts", 0, "how often a picture is sampled, each time from other noise, for a consensus")
	f.Float64Var(&m.consensus, "consensus", 0, "overlap of masks (IoU) from which what several steps or --restarts find is one object; its score is the mean of all (default: the model's, usually none, or else 0.5 with --restarts; negative for none)")
	f.IntVar(&m.options.Proposals, "proposals", 0, "boxes that are denoised at once; more find more objects and take longer (default: the model's, usually 500)")
}

func (m *modelFlags) addScale(cmd *cobra.Command) {
	cmd.Flags().Float64Var(&m.options.Scale, "scale", 0, "factor for the sides of pictures before the network sees them, such as 0.5 for objects twice as large as those that the model learned (default: the model's)")
}

func (m *modelFlags) addScales(cmd *cobra.Command) {
	cmd.Flags().Float64SliceVar(&m.scales, "scales", nil, "`factors` of several sizes in which the network sees a picture, such as 1,1.5,2: small objects are found in the enlarged picture, and an object's score is the mean over the sizes; 1 alone is the quick way (default: the model's, usually 1)")
}

// addLoading adds all flags but --steps, --scale, --scales, --restarts, --consensus and --proposals.
func (m *modelFlags) addLoading(cmd *cobra.Command) {
	m.addSeeing(cmd)
	f := cmd.Flags()
	f.Float64Var(&m.options.Score, "score", 0.5, "least score of an instance, 0 to 1; negative for none")
	f.Float64Var(&m.options.MaskScore, "mask-score", 0, "weight of the masks' quality in scores, which then are geometric means with the classes' scores: 0.33 ranks instances better, without training (default: the model's, usually none; negative for none; at most 0.9)")
	f.IntVar(&m.options.Limit, "limit", 0, "most instances per picture, the best scores first (default: all)")
	f.Uint64Var(&m.options.Seed, "seed", 0, "seed of the noise: the same seed gives the same result")
	f.StringVar(&m.device, "device", "auto", "auto (a GPU if there is one), cpu, cuda or cuda:N")
	m.precision.add(f)
	f.BoolVar(&m.tf32, "tf32", false, tf32Usage)
	f.BoolVar(&m.graphs, "graphs", false, graphsUsage)
}

// addSeeing adds those of addLoading that say which model sees a picture how, in float32 on the CPU.
func (m *modelFlags) addSeeing(cmd *cobra.Command) {
	m.device = "cpu"
	f := cmd.Flags()
	f.StringVar(&m.weights, "weights", "", weightsUsage()+`, or "untrained" for seeded random weights`)
	f.StringVar(&m.config, "config", "", "Detectron2 YAML file of the model (default: the configuration in the checkpoint, or sizes read off its tensors)")
	m.ema.add(f)
	f.IntVar(&m.threads, "threads", 0, "CPU threads per operator (default: the physical cores)")
	f.IntVar(&m.options.Tile, "tile", 0, "side in pixels of the overlapping tiles in which instances of larger pictures are found (default: the model's, usually none; negative for none)")
	f.Float64Var(&m.memory, "max-memory", 0, "GiB of memory that a picture may need, by an estimate, before it is refused (default on the CPU: 8, or 3/4 of the container's limit if that is less; negative for no limit)")
	f.IntVar(&m.options.MaxViews, "max-views", 0, "greatest number of views of a picture, tiles × scales × mirrored (default: 100000; negative for no limit)")
	f.StringVar((*string)(&m.options.Normalize), "norm", "", normUsage)
	_ = cmd.MarkFlagRequired("weights")
	m.set = f.Changed
}

// check refuses values that the library would take for "use the default".
func (m *modelFlags) check() error {
	for name, value := range map[string]int{"steps": m.options.Steps, "proposals": m.options.Proposals, "threads": m.threads, "restarts": m.options.Restarts} {
		if m.set(name) && value < 1 {
			return fmt.Errorf("--%s %d: at least 1 is required", name, value)
		}
	}
	if err := checkThreads(m.threads); err != nil {
		return err
	}
	if err := m.options.Normalize.Check(); err != nil {
		return fmt.Errorf("--norm: %w", err)
	}
	if m.set("scale") && !(m.options.Scale > 0) {
		return fmt.Errorf("--scale %v: it must be above 0", m.options.Scale)
	}
	var err error
	if m.options.MaxBytes, err = gibibytes(m.memory); err != nil {
		return err
	}
	if m.set("mask-score") && m.options.MaskScore == 0 {
		m.options.MaskScore = -1 // as below
	}
	if m.options.Score == 0 {
		m.options.Score = -1 // 0 means the default to the library; here it was asked for
	}
	return nil
}

// normalize returns how pictures become samples of 8 bits: by the flag, the model, or as usual.
func (m *modelFlags) normalize(c diffusioninst.Config) picture.Normalize {
	return cmp.Or(m.options.Normalize, c.Input.Normalize, picture.Auto)
}

// gibibytes returns the bytes of --max-memory.
func gibibytes(n float64) (int64, error) {
	if !(math.Abs(n) <= 1<<32) {
		return 0, fmt.Errorf("--max-memory %v: want a number of GiB", n)
	}
	return int64(n * (1 << 30)), nil
}

// load makes the model, checks the options against it and prints to standard error what the
// user should know.
func (m *modelFlags) load(cmd *cobra.Command) (*diffusioninst.Model, error) {
	model, err := m.open(cmd)
	if err != nil {
		return nil, err
	}
	m.precision.take(model, warner(cmd))
	if len(m.scales) > 0 {
		m.options.Scales = &diffusioninst.Scales{Factors: m.scales}
	} else if len(m.options.Augment.Scales) == 0 {
		saySizes(cmd.ErrOrStderr(), model.Config().Input.Scales)
	}
	if m.consensus != 0 {
		samples := cmp.Or(m.options.Steps, model.Config().Sampling.Steps) * max(m.options.Restarts, 1)
		if m.consensus > 0 && m.consensus <= 1 && samples == 1 && cmd.Name() != "serve" { // whose requests have steps of their own
			return nil, errors.Join(fmt.Errorf("--consensus %v: it is about what several steps or --restarts find, and this is one; what sizes of --scales find is compared without it", m.consensus), model.Close())
		}
		e := model.Config().Ensemble
		e.Consensus = m.consensus
		m.options.Ensemble = &e
	}
	if err := model.Check(m.options); err != nil { // here, or else every picture says it
		return nil, errors.Join(err, model.Close())
	}
	return model, nil
}

// saySizes prints that a model's own setting is several sizes, and what they cost.
func saySizes(out io.Writer, own *diffusioninst.Scales) {
	if own == nil || len(own.Factors) < 2 {
		return
	}
	pixels := 0.0
	for _, f := range own.Factors {
		pixels += f * f
	}
	fmt.Fprintf(out, "note: each picture is seen in sizes %s, the model's own setting: up to %.0f times the work of --scales 1\n", commas(own.Factors), pixels)
}

// devices returns the devices of --device. Only commands that use several take more than one.
func (m *modelFlags) devices() ([]torch.Device, error) {
	names := strings.Split(m.device, ",")
	if len(names) > 1 && !m.several {
		return nil, fmt.Errorf("--device %s: this command runs on one device", m.device)
	}
	var out []torch.Device
	for _, name := range names {
		d, err := torch.ParseDevice(name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, d) {
			return nil, fmt.Errorf("--device %s: %v twice", m.device, d)
		}
		out = append(out, d)
	}
	return out, nil
}

// allowTF32 sets whether a GPU may compute in TF32.
func allowTF32(allow bool, device torch.Device) error {
	if allow && !device.IsCUDA() {
		return fmt.Errorf("--tf32 on %v: it is for GPUs", device)
	}
	torch.AllowTF32(allow)
	return nil
}

func (m *modelFlags) open(cmd *cobra.Command) (*diffusioninst.Model, error) {
	ctx, warn := cmd.Context(), warner(cmd)
	if err := m.check(); err != nil {
		return nil, err
	}
	if m.threads > 0 {
		torch.SetThreads(m.threads)
	}
	devices, err := m.devices()
	if err == nil {
		err = allowTF32(m.tf32, devices[0])
	}
	if err != nil {
		return nil, err
	}
	config, err := readConfig(ctx, m.config, warn)
	if err != nil {
		return nil, err
	}
	o := diffusioninst.LoadOptions{Config: config, Device: devices[0], Replicas: devices[1:], EMA: m.ema.EMAChoice, Precision: m.precision.Precision, Graphs: m.graphs, Calibrator: m.calibrator}
	if m.weights != untrained {
		model, err := loadModel(ctx, m.weights, o)
		if err != nil {
			return nil, err
		}
		sayWeights(cmd.ErrOrStderr(), model.Weights())
		return model, nil
	}
	if m.ema.EMAChoice == nn.EMAOn {
		return nil, errors.New("--ema on: untrained weights have no averages")
	}
	warn("the weights are random (untrained): what the model finds is noise")
	if !m.set("score") {
		m.options.Score = -1
	}
	if !m.set("limit") {
		m.options.Limit = 12
	}
	if config == nil {
		c := diffusioninst.ResNet50COCO()
		o.Config = &c
	}
	o.EMA = nn.EMAAuto
	return diffusioninst.LoadSource(ctx, nn.FromSeed(0), o)
}

// readConfig reads the file of --config. It returns nil if there is none.
func readConfig(ctx context.Context, path string, warn func(format string, args ...any)) (*diffusioninst.Config, error) {
	if path == "" {
		return nil, nil
	}
	var warnings []string
	c, err := await(ctx, func() (c diffusioninst.Config, err error) {
		c, warnings, err = diffusioninst.LoadConfig(path)
		return c, err
	})
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		warn("%s", w)
	}
	return &c, nil
}

// loadModel loads a checkpoint: a file or one of builtins.
func loadModel(ctx context.Context, weights string, o diffusioninst.LoadOptions) (*diffusioninst.Model, error) {
	r, found, err := openBuiltin(weights)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return diffusioninst.Load(ctx, weights, o)
	}
	m, err := diffusioninst.LoadFrom(ctx, r, r.Size(), o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", weights, err)
	}
	return m, nil
}

// checkThreads refuses more threads than any machine has, which OpenMP would try to start.
func checkThreads(n int) error {
	if n > 1024 {
		return fmt.Errorf("--threads %d: at most 1024", n)
	}
	return nil
}
