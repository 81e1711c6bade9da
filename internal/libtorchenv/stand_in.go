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
)

// standIn is the library without symbols to which the names of a folder of StandIns lead.
const standIn = "diffusioninst-empty.so"

// StandIns makes the folder dir, in which each of the names leads to a library without symbols,
// and returns the GOFLAGS with which go build makes programs that look there first: those of
// the go command's environment and one more. Other names that lead there are removed, and other files of the folder kept. Programs may be
// started meanwhile. A program that uses one of the libraries itself does not start then:
// the dynamic loader says which symbol is missing.
func StandIns(ctx context.Context, dir string, names []string) (goflags string, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return "", fmt.Errorf("libtorchenv: %w", err)
	}
	if strings.ContainsAny(dir, " \t\n,:'\"$") {
		return "", fmt.Errorf("libtorchenv: linker and GOFLAGS cannot take a folder with a space, a comma, a colon, a quote or a dollar in its name: %s", dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("libtorchenv: %w", err)
	}
	if err := compileStandIn(ctx, dir); err != nil {
		return "", fmt.Errorf("libtorchenv: a library without symbols in %s: %w", dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("libtorchenv: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if target, err := os.Readlink(path); err == nil && target == standIn && !slices.Contains(names, e.Name()) {
			if err := os.Remove(path); err != nil {
				return "", fmt.Errorf("libtorchenv: %w", err)
			}
		}
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.Symlink(standIn, path); errors.Is(err, fs.ErrExist) {
			if target, err := os.Readlink(path); err != nil || target != standIn {
				return "", fmt.Errorf("libtorchenv: %s is there, and is not diffusioninst's: give another folder", path)
			}
		} else if err != nil {
			return "", fmt.Errorf("libtorchenv: %w", err)
		}
	}
	if goflags, err = output(ctx, "go", "env", "GOFLAGS"); err != nil {
		return "", fmt.Errorf("libtorchenv: go env GOFLAGS: %w", err)
	}
	others := slices.DeleteFunc(strings.Fields(goflags), func(flag string) bool { return strings.HasPrefix(flag, linkerFlags) })
	flag := linkerFlags + dir
	if goflags = strings.Join(others, " "); strings.Contains(goflags, "-ldflags") {
		return "", fmt.Errorf("libtorchenv: GOFLAGS has an -ldflags of its own, which %s would replace: %s", flag, goflags)
	}
	return strings.TrimSpace(goflags + " " + flag), nil
}

// The run path has to be the old kind, which holds for what libraries load, too.
const linkerFlags = "-ldflags=-extldflags=-Wl,--disable-new-dtags,-rpath,"

// compileStandIn makes the library, unless it is there: another process may just be loading it.
func compileStandIn(ctx context.Context, dir string) error {
	path := filepath.Join(dir, standIn)
	if exists(path) {
		return nil
	}
	part, err := os.MkdirTemp(dir, ".part-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(part)
	command := append(compiler(), "-shared", "-fPIC", "-nostdlib", "-Wl,-soname,"+standIn, "-o", filepath.Join(part, standIn), "-x", "c++", os.DevNull)
	if text, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, strings.TrimSpace(string(text)))
	}
	return os.Rename(filepath.Join(part, standIn), path)
}
