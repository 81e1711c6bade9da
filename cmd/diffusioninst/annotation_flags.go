package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/annotation"
)

// annotationFlags are the flags of all commands that read annotations.
type annotationFlags struct {
	onError, crowd string
	limitImages    int
	skipped        map[string]bool // what has been said
}

func (f *annotationFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.onError, "on-error", "fail", "what to do with broken pictures, annotations and parts of them: fail, or skip with a warning")
	cmd.Flags().StringVar(&f.crowd, "crowd", "ignore", "what to do with crowds (iscrowd 1): ignore them, or take each as an object")
}

func (f *annotationFlags) check() error {
	for _, v := range []struct {
		name, value string
		known       []string
	}{{"on-error", f.onError, []string{"fail", "skip"}}, {"crowd", f.crowd, []string{"ignore", "object"}}} {
		if !slices.Contains(v.known, v.value) {
			return fmt.Errorf("--%s %s: not %s", v.name, v.value, strings.Join(v.known, " or "))
		}
	}
	return nil
}

// options returns how annotations are read. masks is true if boxes are not enough.
func (f *annotationFlags) options(images string, masks bool, warn func(string, ...any)) annotation.Options {
	o := annotation.Options{Images: images, Masks: masks, Limit: f.limitImages, CrowdObjects: f.crowd == "object", Warn: warn}
	if f.onError == "skip" {
		if f.skipped == nil {
			f.skipped = map[string]bool{}
		}
		o.Skip = func(err error) {
			if said := err.Error(); !f.skipped[said] { // a file may serve training and evaluation
				f.skipped[said] = true
				warn("skipped: %s", said)
			}
		}
	}
	return o
}

// picturesOf returns the folder of the pictures: the one of a flag, or that of a JSON file.
// Other forms know theirs.
func picturesOf(flag, annotations string) string {
	if flag == "" && strings.EqualFold(filepath.Ext(annotations), ".json") {
		return filepath.Dir(annotations)
	}
	return flag
}

// explain adds to an error of annotations what can be done about it.
func (f *annotationFlags) explain(err error) error {
	if err == nil || f.onError != "fail" || !isProblem(err) {
		return err
	}
	return fmt.Errorf("%w (--on-error skip leaves out what is wrong; data info --check lists all of it)", err)
}

// warner returns a function that prints warnings of a command.
func warner(cmd *cobra.Command) func(format string, args ...any) {
	return func(format string, args ...any) { warnerTo(cmd.ErrOrStderr())(format, args...) }
}

// warnerTo returns a function that prints warnings.
func warnerTo(w io.Writer) func(format string, args ...any) {
	return func(format string, args ...any) {
		fmt.Fprintf(w, "warning: %s\n", flagWords.Replace(fmt.Sprintf(format, args...)))
	}
}
