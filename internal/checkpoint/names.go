package checkpoint

import "strings"

// convention is a way of naming the tensors of an ImageNet backbone. The names of
// every other file are taken as they are.
type convention uint8

const (
	asIs        convention = iota
	torchvision            // layer1.0.bn1.weight
	caffe2                 // res2_0_branch2a_bn_s: Detectron's and MSRA's ResNets
	swin                   // the official Swin repository: as here, plus a classifier
)

// conventionOf recognises the convention by names that only its files have.
func conventionOf(has func(name string) bool) convention {
	switch {
	case has("conv1.weight") && has("layer1.0.conv1.weight"):
		return torchvision
	case has("conv1_w"):
		return caffe2
	case has("patch_embed.proj.weight") && has("layers.0.blocks.0.attn.qkv.weight"):
		return swin
	}
	return asIs
}

// rename returns the name below a Detectron2 backbone, such as
// res2.0.conv1.norm.weight, or "" for what belongs to the classifier or the optimizer.
func (c convention) rename(name string) string {
	switch c {
	case torchvision:
		return fromTorchvision(name)
	case caffe2:
		return fromCaffe2(name)
	case swin:
		if strings.HasPrefix(name, "head.") || strings.HasPrefix(name, "norm.") {
			return ""
		}
	}
	return name
}

var torchvisionParts = strings.NewReplacer(
	"layer1.", "res2.", "layer2.", "res3.", "layer3.", "res4.", "layer4.", "res5.",
	"bn1.", "conv1.norm.", "bn2.", "conv2.norm.", "bn3.", "conv3.norm.",
	"downsample.0.", "shortcut.", "downsample.1.", "shortcut.norm.",
)

func fromTorchvision(name string) string {
	switch {
	case strings.HasPrefix(name, "fc."):
		return ""
	case strings.HasPrefix(name, "layer"):
		return torchvisionParts.Replace(name)
	}
	return "stem." + torchvisionParts.Replace(name)
}

var caffe2Branches = map[string]string{
	"branch1": "shortcut", "branch2a": "conv1", "branch2b": "conv2", "branch2c": "conv3",
}

// fromCaffe2 handles names such as res2_0_branch2a_w, res2_0_branch2a_bn_s,
// res_conv1_bn_b, conv1_gn_s, fpn_inner_res4_5_sum_lateral_w and fpn_res2_2_sum_b.
func fromCaffe2(name string) string {
	if strings.HasSuffix(name, "_momentum") || strings.HasPrefix(name, "fc1000_") || strings.HasPrefix(name, "pred_") {
		return ""
	}
	module, parameter := splitCaffe2(name)
	parts := strings.Split(module, "_")
	if parts[0] == "fpn" {
		return joinFPN(parts, parameter, name)
	}
	if parts[0] == "res" && len(parts) > 1 {
		parts = parts[1:] // the norm of the stem is called res_conv1_bn
	}
	if parts[0] == "conv1" {
		parts = append([]string{"stem"}, parts...)
	}
	for i, p := range parts {
		if to, ok := caffe2Branches[p]; ok {
			parts[i] = to
		}
	}
	return strings.Join(parts, ".") + parameter
}

// caffe2Parameters maps the ends of names, longer ones first.
var caffe2Parameters = []struct{ from, to string }{
	{"_bn_running_mean", ".norm.running_mean"}, {"_bn_rm", ".norm.running_mean"},
	{"_bn_running_var", ".norm.running_var"}, {"_bn_riv", ".norm.running_var"},
	{"_bn_gamma", ".norm.weight"}, {"_bn_beta", ".norm.bias"},
	{"_bn_s", ".norm.weight"}, {"_bn_b", ".norm.bias"}, {"_bn_bias", ".norm.bias"},
	{"_gn_s", ".norm.weight"}, {"_gn_b", ".norm.bias"}, {"_gn_bias", ".norm.bias"},
	{"_w", ".weight"}, {"_b", ".bias"},
}

func splitCaffe2(name string) (module, parameter string) {
	for _, p := range caffe2Parameters {
		if m, ok := strings.CutSuffix(name, p.from); ok {
			return m, p.to
		}
	}
	return name, ""
}

// joinFPN names the lateral and output convolutions of a feature pyramid.
func joinFPN(parts []string, parameter, name string) string {
	kind := "fpn_output"
	parts = parts[1:]
	if len(parts) > 0 && parts[0] == "inner" {
		kind, parts = "fpn_lateral", parts[1:]
	}
	if len(parts) > 0 {
		if stage, ok := strings.CutPrefix(parts[0], "res"); ok {
			return kind + stage + parameter
		}
	}
	return name
}
