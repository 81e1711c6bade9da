//go:build cgo && linux

package main

import (
	"bufio"
	"encoding/json"
	"image/png"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/proctest"
)

// wholeFiles fails unless all files in a folder can be read and none is half written.
func wholeFiles(t *testing.T, folder string) {
	t.Helper()
	for name, text := range tree(t, folder) {
		switch filepath.Ext(name) {
		case ".json":
			require.True(t, json.Valid([]byte(text)), name)
		case ".png":
			_, err := png.Decode(strings.NewReader(text))
			require.NoError(t, err, name)
		case ".safetensors", ".pth":
			f, err := checkpoint.Open(filepath.Join(folder, name))
			require.NoError(t, err, name)
			require.NoError(t, f.Close())
		}
	}
}

// everyCommand returns the arguments of commands that take a while, with their output in a folder.
func everyCommand(t *testing.T) map[string]func(out string) []string {
	pictures := manyPictures(t, 30)
	shapes := t.TempDir()
	_, err := program(t, "data", "simulate", shapes, "--count", "60")
	require.NoError(t, err)
	truth := filepath.Join(shapes, "instances.json")
	gt, folder := shapesSet(t, 12)
	tiny := tinyRun(t, "")
	dets := filepath.Join(t.TempDir(), "dets.json")
	_, err = program(t, "convert", "--to", "results", truth, dets)
	require.NoError(t, err)
	mini := filepath.Join(t.TempDir(), "mini.safetensors")
	require.NoError(t, os.WriteFile(mini, miniCheckpoint(t), 0o666))
	with := func(args ...string) func(string) []string {
		return func(out string) []string {
			all := slices.Clone(args)
			for i := range all {
				all[i] = strings.ReplaceAll(all[i], "OUT", out)
			}
			return all
		}
	}
	model := miniModel()
	shards := t.TempDir()
	_, err = program(t, append([]string{"segment", pictures, "--shard", "0/1", "--output", shards, "--format", "results,coco"}, model...)...)
	require.NoError(t, err)
	set := append([]string{"--gt", gt, "--images", folder}, model...)
	return map[string]func(string) []string{
		"segment":       with(append([]string{"segment", pictures, "--output", "OUT", "--format", "overlay,results,masks", "--trace", "OUT/trace"}, model...)...),
		"test":          with(append([]string{"test", "--dets", "OUT/dets.json", "--plots", "OUT/plots"}, set...)...),
		"sweep":         with(append([]string{"sweep", "--out", "OUT"}, set...)...),
		"bench":         with(append([]string{"bench", "--time", "400ms", "--size", "96x72", "--train", "1"}, model...)...),
		"train":         with(append(tiny, "--out", "OUT", "--steps", "40", "--save-every", "3")...),
		"export":        with("export", "--weights", mini, "--out", "OUT/model.pth"),
		"eval":          with("eval", "--gt", truth, "--dets", dets, "--iou", "segm,bbox,boundary", "--plots", "OUT"),
		"data info":     with("data", "info", truth, "--check"),
		"data show":     with("data", "show", truth, "--images", shapes, "--n", "60", "--out", "OUT"),
		"data simulate": with("data", "simulate", "OUT", "--count", "1000"),
		"convert":       with("convert", "--to", "masks", truth, "OUT"),
		"convert coco":  with("convert", "--to", "coco", truth, "OUT/coco.json"),
		"results merge": with("results", "merge", shards, "--output", "OUT"),
		"info":          with("info", "--list", mini),
		"doctor":        with("doctor"),
		"env":           with("env"),
	}
}

// A signal at any moment ends every command soon, with whole files and the right status.
func TestEveryCommandStops(t *testing.T) {
	n := rounds(t, 1)
	for name, args := range everyCommand(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range n {
				signal := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}[rand.IntN(3)]
				out := t.TempDir()
				child := proctest.Start(t, asChild(t, args(out)...))
				time.Sleep(time.Duration(rand.Int64N(int64(1500 * time.Millisecond))))
				child.Signal(signal)
				switch status := child.Wait(); {
				case status == 128+int(signal) || status == 0:
				case status == 1 && name == "doctor": // something is missing here
				default:
					t.Fatalf("round %d: status %d\n%s", i, status, child.Output())
				}
				wholeFiles(t, out)
				left, err := filepath.Glob(filepath.Join(out, "*"+atomicfile.Suffix))
				require.NoError(t, err)
				require.Empty(t, left, "round %d", i)
			}
		})
	}
}

// What is finished when a signal comes is written and counted, and can be continued.
func TestSegmentStopsAndContinues(t *testing.T) {
	pictures, out := manyPictures(t, 12), t.TempDir()
	cmd := asChild(t, append([]string{"segment", pictures, "-", "--output", out}, miniModel()...)...)
	stdin, err := cmd.StdinPipe() // which blocks after the folder
	require.NoError(t, err)
	child := proctest.Start(t, cmd)
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(filepath.Join(out, segmentJournalName))
		return strings.Count(string(text), "\n") == 13
	}, proctest.Limit, 10*time.Millisecond)
	child.Signal(syscall.SIGTERM)
	require.Equal(t, 143, child.Wait(), child.Output())
	_ = stdin.Close()
	require.Contains(t, child.Output(), "Stopped by SIGTERM after 12 of 13 pictures: the same command with --resume continues\n")
	require.Contains(t, child.Output(), "c/8.png")
	wholeFiles(t, out)

	whole := t.TempDir()
	data := savePNG(t, filepath.Join(t.TempDir(), "a.png"), 99)
	_, _, err = segment(data, pictures, "-", "--output", whole)
	require.NoError(t, err)
	stdout, _, err := segment(data, pictures, "-", "--output", out, "--resume")
	require.NoError(t, err)
	require.Equal(t, 12, strings.Count(stdout, "earlier"))
	require.Equal(t, tree(t, whole), tree(t, out))

	// Other settings are refused, other formats are made, and changed pictures are found again.
	_, _, err = segment(data, pictures, "--output", out, "--resume", "--seed", "5")
	require.ErrorContains(t, err, "made with other settings, seed (0, now 5)")
	savePNG(t, filepath.Join(pictures, "a", "0.png"), 77)
	stdout, _, err = segment(nil, pictures, "--output", out, "--resume", "--format", "labelme,results")
	require.NoError(t, err)
	require.Equal(t, 11, strings.Count(stdout, "earlier"))
	require.FileExists(t, filepath.Join(out, "labelme", "b", "1.json"))
	_, _, err = segment(nil, pictures, "--output", whole, "--format", "results")
	require.NoError(t, err)
	require.Equal(t, tree(t, whole)["results.json"], tree(t, out)["results.json"])
}

// The page with the settings of a run is no exception: it does not say that the run was resumed.
func TestResumedReportIsTheSame(t *testing.T) {
	args := []string{manyPictures(t, 2), "--output", t.TempDir(), "--format", "html"}
	_, _, err := segment(nil, args...)
	require.NoError(t, err)
	want := tree(t, args[2])
	require.Contains(t, want["report.html"], "--format")
	stdout, _, err := segment(nil, append(args, "--resume")...)
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(stdout, "earlier"))
	require.Equal(t, want, tree(t, args[2]))
}

// A resumed run makes anew whatever file of a finished picture is missing or empty.
func TestResumeRestoresFiles(t *testing.T) {
	pictures, out := manyPictures(t, 1), t.TempDir()
	args := []string{pictures, "--output", out, "--limit", "2", "--format", "overlay,results,coco,labelme,labelmap,masks,yolo,labels,dsb,cellpose,labeltiff,imagej,geojson,measurements,html", "--resume"}
	_, _, err := segment(nil, args...)
	require.NoError(t, err)
	want := tree(t, out)
	require.Greater(t, len(want), 12)
	spoil := func(how func(name string) error) {
		for name, text := range want {
			if name != segmentJournalName && text != "" {
				require.NoError(t, how(filepath.Join(out, name)), name)
				_, _, err := segment(nil, args...)
				require.NoError(t, err)
				require.Equal(t, want, tree(t, out), name)
			}
		}
	}
	spoil(os.Remove)
	spoil(func(name string) error { return os.Truncate(name, 0) })
}

// Whichever end of a command blocks, the first signal ends it.
func TestBlockedFilesStop(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "segment_image", "nuclei.json"))
	require.NoError(t, err)
	long := []byte(`{"info":"` + strings.Repeat(" ", 1<<20) + `",`)
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o666))
	for _, input := range [][]byte{long, slices.Concat(long, text[1:])} { // not its end, or all
		cmd := asChild(t, "convert", "--from", "coco", "--to", "coco", "/dev/stdin", fifo)
		stdin, err := cmd.StdinPipe()
		require.NoError(t, err)
		child := proctest.Start(t, cmd)
		_, err = stdin.Write(input) // more than a pipe holds: the child is reading
		require.NoError(t, err)
		if len(input) > len(long) {
			require.NoError(t, stdin.Close())
			time.Sleep(300 * time.Millisecond) // until it waits for a reader, usually
		}
		child.Signal(syscall.SIGINT)
		require.Equal(t, 130, child.Wait(), child.Output())
		require.Contains(t, child.Output(), "Stopped by SIGINT before anything was finished\n")
		_ = stdin.Close()
	}
}

// A command whose standard output blocks says how to end it, and the second signal does.
func TestTwoSignals(t *testing.T) {
	truth := simulatedSet(t, "--count", "100")
	info, err := os.Stat(truth)
	require.NoError(t, err)
	require.Greater(t, info.Size(), int64(1<<17), "more than a pipe holds")
	cmd := asChild(t, "convert", "--from", "coco", "--to", "coco", truth, "-")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = stdout.Read(make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	said := bufio.NewReader(stderr)
	line, err := said.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "SIGINT: stopping; a second signal ends the program at once")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	line, err = said.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "Stopped at once by a second signal, SIGTERM")
	require.Error(t, cmd.Wait())
	require.Equal(t, 143, cmd.ProcessState.ExitCode())
}

// A terminal that is closed stops a command as Ctrl-C does, unless nohup has started it.
func TestHangUp(t *testing.T) {
	// Children do not inherit what is caught, but that it is ignored, as under nohup.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	defer signal.Stop(caught)
	start := func(args ...string) *proctest.Child {
		cmd := asChild(t, "convert", "--from", "coco", "--to", "coco", "/dev/stdin", "-")
		if len(args) > 0 {
			cmd.Args = append(args, cmd.Args...)
			cmd.Path = "/bin/sh"
		}
		stdin, err := cmd.StdinPipe()
		require.NoError(t, err)
		child := proctest.Start(t, cmd)
		_, err = stdin.Write([]byte(`{"info":"` + strings.Repeat(" ", 1<<20))) // more than a pipe holds
		require.NoError(t, err)
		return child
	}
	child := start()
	child.Signal(syscall.SIGHUP)
	require.Equal(t, 129, child.Wait(), child.Output())
	require.Contains(t, child.Output(), "Stopped by SIGHUP")
	if libTorchVersion != nil && !strings.HasPrefix(libTorchVersion(), "1.") {
		t.Skip("with Debian 13's LibTorch 2.6 the program does not see that SIGHUP was ignored; the cause is not known")
	}
	child = start("/bin/sh", "-c", `trap "" HUP; exec "$0" "$@"`)
	child.Signal(syscall.SIGHUP)
	child.Signal(syscall.SIGINT)
	require.Equal(t, 130, child.Wait(), child.Output())
	require.Contains(t, child.Output(), "Stopped by SIGINT")
}
