//go:build cgo && linux

package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/internal/proctest"
)

// simulatedSet draws a data set and returns its file, which is in the folder of its pictures.
func simulatedSet(t *testing.T, args ...string) (file string) {
	t.Helper()
	folder := t.TempDir()
	_, err := program(t, append([]string{"data", "simulate", folder}, args...)...)
	require.NoError(t, err)
	return filepath.Join(folder, "instances.json")
}

// A conversion that is killed leaves whole files, and legends of whole pictures only. Repeated
// it gives what one gives that was not killed.
func TestConvertSurvivesKills(t *testing.T) {
	kills := rounds(t, 1)
	truth := simulatedSet(t, "--count", "40")
	convert := func(form, output string) { // in this process: what is not killed need not be another
		_, err := program(t, "convert", "--to", form, truth, output)
		require.NoError(t, err, form)
	}
	begin := time.Now()
	proctest.Run(t, asChild(t, "convert", "--to", "masks", truth, t.TempDir()))
	took := time.Since(begin)
	for _, form := range []string{"masks", "labelmap", "labelme", "coco"} {
		whole, killed := t.TempDir(), t.TempDir()
		output := func(folder string) string {
			if form == "coco" {
				return filepath.Join(folder, "coco.json")
			}
			return folder
		}
		convert(form, output(whole))
		want := tree(t, whole)
		for range kills {
			child := proctest.Start(t, asChild(t, "convert", "--to", form, truth, output(killed)))
			time.Sleep(time.Duration(rand.Int64N(int64(took))))
			child.Kill()
			got := tree(t, killed)
			for name, text := range got {
				require.Equal(t, want[name], text, name)
			}
			if len(got) > 0 && strings.Contains(strings.Join(keys(got), " "), ".json") {
				_, err := program(t, "convert", "--from", form, "--to", "coco", output(killed), "-")
				require.NoError(t, err, form)
			}
		}
		convert(form, output(killed))
		require.Equal(t, want, tree(t, killed), form)
		left, err := filepath.Glob(filepath.Join(killed, "*"+atomicfile.Suffix))
		require.NoError(t, err)
		require.Empty(t, left, form)
	}
}

func keys(m map[string]string) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

// A data set that is converted onto itself, by whatever path, is read before it is replaced.
func TestConvertInPlace(t *testing.T) {
	for name, other := range map[string]func(t *testing.T, file string) string{
		"itself": func(_ *testing.T, file string) string { return file },
		"dots": func(_ *testing.T, file string) string {
			return filepath.Dir(file) + "/../" + filepath.Base(filepath.Dir(file)) + "/./" + filepath.Base(file)
		},
		"link": func(t *testing.T, file string) string {
			link := filepath.Join(t.TempDir(), "link.json")
			require.NoError(t, os.Symlink(file, link))
			return link
		},
		"hard link": func(t *testing.T, file string) string {
			require.NoError(t, os.Link(file, file+"2.json"))
			return file + "2.json"
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := simulatedSet(t, "--count", "3")
			before, err := coco.Load(file)
			require.NoError(t, err)
			output := other(t, file)
			_, err = program(t, "convert", "--to", "coco", file, output)
			require.NoError(t, err)
			for _, path := range []string{file, output} {
				after, err := coco.Load(path)
				require.NoError(t, err)
				require.Len(t, after.Annotations, len(before.Annotations))
			}
			if name == "link" {
				info, err := os.Lstat(output)
				require.NoError(t, err)
				require.NotZero(t, info.Mode()&os.ModeSymlink, "the link stays")
			}
		})
	}
}

// Folders whose files would be lost or taken for input are refused, and stay as they were.
func TestConvertRefusesToDestroyItsInput(t *testing.T) {
	truth := simulatedSet(t, "--count", "3")
	pictures := filepath.Dir(truth)
	labelMe, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	_, err := program(t, "data", "simulate", labelMe, "--count", "3", "--labelme")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(labelMe, link))
	for name, c := range map[string]struct{ args, want string }{
		"itself":      {"--to labelme " + labelMe + " " + labelMe, "is the folder of the input"},
		"a link":      {"--to masks " + labelMe + " " + link, "is the folder of the input"},
		"dots":        {"--to labelmap " + labelMe + " " + labelMe + "/./", "is the folder of the input"},
		"one file":    {"--to labelmap " + labelMe + "/0001.json " + labelMe, "is the folder of the input"},
		"below":       {"--to labelme " + labelMe + " " + labelMe + "/new", "lies in"},
		"overlays":    {"--to overlay --images " + pictures + " " + truth + " " + pictures, "would replace the picture itself"},
		"label maps":  {"--to labelmap " + truth + " " + pictures, "is not a label map"},
		"no legend":   {"--to labelmap " + truth + " " + labelMe, "is not a label map"},
		"a full disk": {"--to coco " + truth + " /dev/full", "no space left"},
	} {
		before := [2]map[string]string{tree(t, labelMe), tree(t, pictures)}
		_, err := program(t, append([]string{"convert"}, strings.Fields(c.args)...)...)
		require.ErrorContains(t, err, c.want, name)
		require.Equal(t, before, [2]map[string]string{tree(t, labelMe), tree(t, pictures)}, name)
	}
	// An output of an earlier run is replaced, and LabelMe files may go beside the pictures.
	out := t.TempDir()
	for range 2 {
		_, err := program(t, "convert", "--to", "labelmap", truth, out)
		require.NoError(t, err)
	}
	_, err = program(t, "convert", "--to", "labelme", truth, pictures)
	require.NoError(t, err)
}

// True masks are not replaced by the detections that are compared with them.
func TestTruthIsNotReplaced(t *testing.T) {
	truth := simulatedSet(t, "--count", "1")
	folder := filepath.Dir(truth)
	inOutput := filepath.Join(t.TempDir(), "coco.json")
	require.NoError(t, os.Link(truth, inOutput))
	before := tree(t, folder)
	for name, args := range map[string][]string{
		"test":    {"test", "--gt", truth, "--images", folder, "--dets", folder + "/./" + filepath.Base(truth)},
		"convert": {"convert", "--to", "coco", "--gt", truth, truth, truth},
		"segment": {"segment", filepath.Join(folder, "0001.png"), "--gt", truth, "--format", "coco", "--output", filepath.Dir(inOutput)},
	} {
		if name != "convert" {
			args = append(args, miniModel()...)
		}
		_, err := program(t, args...)
		require.ErrorContains(t, err, "would replace the true masks of --gt", name)
		require.Equal(t, before, tree(t, folder), name)
		require.Equal(t, before["instances.json"], tree(t, filepath.Dir(inOutput))["coco.json"], name)
	}
}
