package diffusioninst

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/nn"
)

// Infer returns the configuration of a checkpoint's model. Kind and size of the backbone,
// sizes of the decoder and the number of classes follow from the shapes of its
// parameters. Proposals, attention heads, input size and sampling, which they do not
// tell, come from the metadata that this module's training writes or, in other
// checkpoints, are the paper's. Without metadata 80 or 1203 classes have the names of
// COCO or LVIS. Errors are a *LoadError.
func Infer(path string) (Config, error) {
	file, err := nn.OpenCheckpoint(path)
	if err != nil {
		return Config{}, err
	}
	defer file.Close()
	c, err := infer(file)
	if err != nil {
		return Config{}, loadError(file, err)
	}
	return c, nil
}

// shapes are the shapes of a checkpoint's tensors by name.
type shapes map[string][]int

// at returns one size of a tensor, 0 if it is absent.
func (s shapes) at(name string, dim int) int {
	if shape := s[name]; dim < len(shape) {
		return shape[dim]
	}
	return 0
}

// count returns how many consecutive numbers from 0, step apart, have a tensor when they
// are put in place of the name's %d.
func (s shapes) count(name string, step int) int {
	n := 0
	for s[strings.Replace(name, "%d", strconv.Itoa(n*step), 1)] != nil {
		n++
	}
	return n
}

func shapesOf(file *nn.Checkpoint) shapes {
	s := shapes{}
	for _, name := range file.Names() {
		s[name] = file.Shape(name)
	}
	return s
}

func infer(file *nn.Checkpoint) (Config, error) {
	s := shapesOf(file)
	const stage = "head.head_series.0."
	classes := s.at(stage+"class_logits.weight", 0)
	if err := file.Why(stage + "class_logits.weight"); err != nil {
		return Config{}, err
	}
	if classes == 0 {
		return Config{}, fmt.Errorf("it has no %sclass_logits.weight: not a DiffusionInst checkpoint", stage)
	}
	c := Config{Classes: classNames(classes)}
	c.Decoder = decoder.Config{
		Hidden:      s.at(stage+"class_logits.weight", 1),
		Dynamic:     s.at(stage+"inst_interact.norm1.weight", 0),
		FeedForward: s.at(stage+"linear1.weight", 0),
		Stages:      s.count("head.head_series.%d.class_logits.weight", 1),
		ClassLayers: s.count(stage+"cls_module.%d.weight", 3),
		BoxLayers:   s.count(stage+"reg_module.%d.weight", 3),
	}
	convs := s.count("head.mask_head.%d.0.weight", 1)
	c.MaskBranch = maskhead.BranchConfig{
		Width:  s.at("head.mask_refine.0.0.weight", 0),
		Levels: s.count("head.mask_refine.%d.0.weight", 1),
		Convs:  convs,
	}
	c.MaskHead = maskhead.Head{Channels: s.at(fmt.Sprintf("head.mask_head.%d.weight", convs), 0)}
	for layers := 1; layers < 10; layers++ {
		if h := (maskhead.Head{Channels: c.MaskHead.Channels, Layers: layers}); c.MaskHead.Channels > 0 && h.Params() == s.at(stage+"controller.weight", 0) {
			c.MaskHead = h
		}
	}
	c.MaskHead.Coordinates = s[stage+"coordinates.weight"] != nil
	c.Decoder.SelfConditioning = s["head.self_conditioning.weight"] != nil
	if d := c.Decoder.Hidden; d > 0 {
		c.Decoder.Bins = int(math.Sqrt(float64(s.at(stage+"inst_interact.out_layer.weight", 1) / d)))
	}
	var err error
	if c.Backbone, err = inferBackbone(s); err != nil {
		return c, err
	}
	if text, ok := file.Metadata()[checkpoint.ConfigKey]; ok {
		return c.withMetadata(text)
	}
	return c, nil
}

func inferBackbone(s shapes) (backbone.Builder, error) {
	const at = "backbone.bottom_up."
	width := s.at("backbone.fpn_output2.weight", 0)
	if s[at+"patch_embed.proj.weight"] != nil {
		return backbone.SwinFPN{Channels: width, Swin: inferSwin(s, at)}, nil
	}
	var n [4]int
	for i := range n {
		n[i] = s.count(fmt.Sprintf("%sres%d.%%d.conv1.weight", at, i+2), 1)
	}
	bottleneck := s[at+"res2.0.conv3.weight"] != nil
	for _, depth := range []int{18, 34, 50, 101, 152} {
		if backbone.Blocks(depth) == n && (depth >= 50) == bottleneck {
			last := map[bool]string{true: "conv3", false: "conv2"}[bottleneck]
			return backbone.ResNetFPN{Channels: width, ResNet: backbone.ResNet{
				Depth: depth, StemChannels: s.at(at+"stem.conv1.weight", 0),
				Res2Channels: s.at(at+"res2.0."+last+".weight", 0), Width: s.at(at+"res2.0.conv1.weight", 0),
			}}, nil
		}
	}
	return nil, fmt.Errorf("its backbone is neither a Swin Transformer nor a ResNet known here (blocks %v): give a configuration", n)
}

// inferSwin returns the Swin Transformer whose parameters are below at. A position bias
// table has a row for each of the (2·window−1)² relative positions and a column for
// each head.
func inferSwin(s shapes, at string) backbone.Swin {
	c := backbone.Swin{EmbedDim: s.at(at+"patch_embed.proj.weight", 0)}
	for i := range c.Depths {
		stage := fmt.Sprintf("%slayers.%d.blocks.", at, i)
		const table = "attn.relative_position_bias_table"
		c.Depths[i] = s.count(stage+"%d."+table, 1)
		c.Heads[i] = s.at(stage+"0."+table, 1)
		c.Window = (int(math.Sqrt(float64(s.at(stage+"0."+table, 0)))) + 1) / 2
	}
	if c.EmbedDim > 0 {
		c.MLPRatio = float64(s.at(at+"layers.0.blocks.0.mlp.fc1.weight", 0)) / float64(c.EmbedDim)
	}
	return c
}

func classNames(n int) []string {
	for _, known := range [][]coco.Category{coco.COCOClasses(), coco.LVISClasses()} {
		if len(known) == n {
			return names(known)
		}
	}
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("class %d", i)
	}
	return out
}
