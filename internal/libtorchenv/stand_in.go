package libtorchenv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// LeanFlags are how programs start without the libraries that LibTorch does not use.
type LeanFlags struct {
	GoFlags string   `json:"GOFLAGS,omitempty"`
	Unused  []string `json:"unused,omitempty"` // libraries
	changed bool
}

// Export returns the line that sets GOFLAGS in a shell, or nothing if they are set.
func (l LeanFlags) Export() string {
	if !l.changed {
		return ""
	}
	return "export GOFLAGS=" + ShellQuote(l.GoFlags) + "\n"
}

// Lean makes the folder dir, in which each library that in does not use leads to one without
// symbols, if there is any, and returns the GOFLAGS with which go build makes programs that look
// there first. Programs may be started meanwhile.
func (in *Installation) Lean(ctx context.Context, dir string) (l LeanFlags, err error) {
	if dir == "" {
		return l, errors.New("libtorchenv: no folder is named")
	}
	if l.Unused, err = in.Unused(ctx); err != nil {
		return l, err
	}
	if len(l.Unused) == 0 {
		dir = ""
	}
	if l.GoFlags, l.changed, err = goFlags(ctx, dir); err != nil || dir == "" {
		return l, err
	}
	if err := standIns(ctx, dir, l.Unused); err != nil {
		return l, fmt.Errorf("libtorchenv: libraries without symbols in %s: %w", dir, err)
	}
	return l, nil
}

// standIn is the library without symbols to which the names of a folder of standIns lead.
const standIn = "diffusioninst-empty.so"

// standIns makes the folder dir, in which each of the names leads to a library without symbols.
// Links of other names to it are removed, and other files kept.
func standIns(ctx context.Context, dir string, names []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := compileStandIn(ctx, dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if leadsToStandIn(path) && !slices.Contains(names, e.Name()) {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.Symlink(standIn, path); err != nil && !leadsToStandIn(path) {
			return fmt.Errorf("%w: give another folder", err)
		}
	}
	// Git then takes none of the files for the user's.
	if ignore := filepath.Join(dir, ".gitignore"); !exists(ignore) {
		return os.WriteFile(ignore, []byte("*\n"), 0o644)
	}
	return nil
}

func leadsToStandIn(path string) bool {
	target, err := os.Readlink(path)
	return err == nil && target == standIn
}

// compileStandIn makes or replaces the library, in one step: another process may be loading it.
func compileStandIn(ctx context.Context, dir string) error {
	part, err := os.MkdirTemp(dir, ".part-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(part)
	made := filepath.Join(part, standIn)
	command := append(compiler(ctx), "-shared", "-fPIC", "-nostdlib", "-fno-sanitize=all", "-Wl,-soname,"+standIn, "-o", made, "-x", "c++", os.DevNull)
	if text, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, strings.TrimSpace(string(text)))
	}
	return os.Rename(made, filepath.Join(dir, standIn))
}

// The run path is of the old kind, which holds for what libraries load, too. A program that uses
// one of the libraries itself fails at the start, and not at a call.
const linkerFlags = "-ldflags=-extldflags=-Wl,--disable-new-dtags,-z,now,-rpath,"

// goFlags returns the go command's GOFLAGS, and whether they were others, with the one by which
// go build makes programs that look for libraries in the folder dir first, or without if dir is
// empty.
func goFlags(ctx context.Context, dir string) (goflags string, changed bool, err error) {
	before, err := output(ctx, "go", "env", "GOFLAGS")
	if err != nil {
		return "", false, fmt.Errorf("libtorchenv: go env GOFLAGS: %w", err)
	}
	flags := slices.DeleteFunc(strings.Fields(before), func(flag string) bool { return strings.HasPrefix(flag, linkerFlags) })
	if dir != "" {
		if dir, err = filepath.Abs(dir); err != nil {
			return "", false, fmt.Errorf("libtorchenv: %w", err)
		}
		unfit := func(r rune) bool {
			return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`,:'"$\`, r)
		}
		if strings.ContainsFunc(dir, unfit) {
			return "", false, fmt.Errorf("libtorchenv: the linker and GOFLAGS cannot take a folder with a space or one of ,:'\"$\\ in its name: %s", dir)
		}
		flag := linkerFlags + dir
		if own := strings.Join(flags, " "); strings.Contains(own, "-ldflags") {
			return "", false, fmt.Errorf("libtorchenv: GOFLAGS has an -ldflags of its own, which %s would replace: %s", flag, own)
		}
		flags = append(flags, flag)
	}
	goflags = strings.Join(flags, " ")
	return goflags, goflags != before, nil
}
