package main

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagValues are what flags of a name take in every command, for a shell to complete, unless
// their type lists it, as auto|on|off. Values of flags that take lists are completed after each comma.
var flagValues = map[string]func() []string{
	"device":    fixed("auto", "cpu", "cuda", "cuda:0"),
	"format":    func() []string { return outputFormats },
	"to":        func() []string { return outputFormats },
	"from":      func() []string { return inputFormats },
	"iou":       fixed("segm", "bbox", "boundary"),
	"style":     fixed("coco", "lvis"),
	"on-error":  fixed("fail", "skip"),
	"crowd":     fixed("ignore", "object"),
	"norm":      fixed("auto", "none"),
	"precision": fixed("float32", "bfloat16", "float16"),
	"samplers":  func() []string { return samplerNames },
	"tta":       fixed("flip", "640", "800"),
}

// samplerNames are the values of --samplers; empty in a program built without cgo, which has them in commandTexts.
var samplerNames []string

// fileEndings are the endings of the files that flags of a name take.
var fileEndings = map[string][]string{
	"config": {"yaml", "yml"},
	"gt":     {"json"},
	"train":  {"json"},
	"val":    {"json"},
}

// folderFlags take folders.
var folderFlags = []string{"images", "val-images", "out", "output", "plots", "trace"}

// weightsEndings are the endings of checkpoints' files.
var weightsEndings = []string{".safetensors", ".pth", ".pkl", ".ckpt", ".pt"}

func fixed(values ...string) func() []string { return func() []string { return values } }

// valuesOf returns what a flag takes, nil if that is not known.
func valuesOf(f *pflag.Flag) func() []string {
	switch kind := f.Value.Type(); {
	case strings.Contains(kind, "|"):
		return fixed(strings.Split(kind, "|")...)
	case kind != "int":
		return flagValues[f.Name]
	}
	return nil
}

// completeFlags lets shells complete the values of the flags of all commands.
func completeFlags(cmd *cobra.Command) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		switch {
		case f.Name == "weights":
			_ = cmd.RegisterFlagCompletionFunc(f.Name, completeWeights)
		case valuesOf(f) != nil:
			completeValues(cmd, f, valuesOf(f))
		case fileEndings[f.Name] != nil && f.Value.Type() == "string":
			_ = cmd.MarkFlagFilename(f.Name, fileEndings[f.Name]...)
		case slices.Contains(folderFlags, f.Name) && f.Value.Type() == "string" && !(f.Name == "out" && slices.Contains([]string{"export", "quantize"}, cmd.Name())):
			_ = cmd.MarkFlagDirname(f.Name)
		}
	})
	for _, c := range cmd.Commands() {
		completeFlags(c)
	}
}

// completeValues lets shells complete the values of a flag, unless they do so already.
func completeValues(cmd *cobra.Command, f *pflag.Flag, values func() []string) {
	list := f.Value.Type() == "stringSlice"
	_ = cmd.RegisterFlagCompletionFunc(f.Name, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return completions(values(), typed, list), cobra.ShellCompDirectiveNoFileComp
	})
}

// completions returns the values that begin with what is typed, of a list with its last element.
func completions(values []string, typed string, list bool) []string {
	before := ""
	if comma := strings.LastIndexByte(typed, ','); list && comma >= 0 {
		before = typed[:comma+1]
	}
	var out []string
	for _, v := range values {
		if strings.HasPrefix(before+v, typed) && !slices.Contains(strings.Split(before, ","), v) {
			out = append(out, before+v)
		}
	}
	return out
}

// completeWeights completes the names of built-in models and of checkpoints' files.
func completeWeights(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	out, directive := completions(builtinNames(), typed, false), cobra.ShellCompDirectiveNoFileComp
	folder, begin := filepath.Split(typed)
	entries, _ := os.ReadDir(cmp.Or(folder, ".")) // an unreadable folder has nothing to offer
	for _, e := range entries {
		switch name := e.Name(); {
		case !strings.HasPrefix(name, begin) || begin == "" && strings.HasPrefix(name, "."):
		case e.IsDir():
			out, directive = append(out, folder+name+"/"), directive|cobra.ShellCompDirectiveNoSpace
		case slices.Contains(weightsEndings, filepath.Ext(name)):
			out = append(out, folder+name)
		}
	}
	return out, directive
}
