package libtorchenv

import (
	"bufio"
	"context"
	"debug/elf"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Unused returns the names of libraries, sorted, that LibTorch lists although nothing it loads
// uses a symbol of theirs, and which bring others along. Debian 12's lists OpenCV, which brings
// GDAL and Qt: 243 libraries. A LibTorch that finds its libraries beside itself, as PyTorch's
// wheels do, has none, since programs cannot tell it to look elsewhere.
func (in *Installation) Unused(ctx context.Context) ([]string, error) {
	if runtime.GOOS != "linux" {
		return nil, nil
	}
	names, err := unused(ctx, filepath.Join(in.Lib, library("torch")))
	if err != nil {
		return nil, fmt.Errorf("libtorchenv: what LibTorch loads: %w", err)
	}
	return names, nil
}

func unused(ctx context.Context, torch string) ([]string, error) {
	scope, libs, err := load(ctx, torch)
	if err != nil {
		return nil, err
	}
	var cpu *sharedObject
	for _, name := range scope {
		if strings.HasPrefix(name, "libtorch_cpu.") {
			cpu = libs[name]
		}
	}
	if cpu == nil || cpu.searches { // in places that come before those of the program
		return nil, nil
	}
	used := map[*sharedObject]bool{}
	for symbol := range cpu.undefined {
		for _, name := range scope { // as the dynamic loader looks
			if libs[name].defined[symbol] {
				used[libs[name]] = true
				break
			}
		}
	}
	out := map[string]bool{}
	for _, name := range cpu.needed {
		// LibTorch's own libraries are loaded for what they do at the start.
		own := strings.HasPrefix(name, "libtorch") || strings.HasPrefix(name, "libc10")
		if libs[name] != nil && !used[libs[name]] && !own {
			out[name] = true
		}
	}
	for { // until what stays neither lists nor uses what goes
		before, stay := len(out), reach(libs, scope[0], out)
		for name := range stay {
			if libs[name] != cpu {
				for _, n := range libs[name].needed {
					delete(out, n)
				}
			}
		}
		if len(out) < before {
			continue
		}
		wanted := missing(libs, stay)
		maps.DeleteFunc(out, func(name string, _ bool) bool {
			goes := 0
			for reached := range reach(libs, name, nil) {
				if stay[reached] {
					continue
				}
				if libs[reached].definesAny(wanted) {
					return true
				}
				goes++
			}
			return goes == 1 // one costs little, and the program may want it itself
		})
		if len(out) == before {
			return slices.Sorted(maps.Keys(out)), nil
		}
	}
}

// missing returns the symbols that none of the named libraries defines, although some use them.
func missing(libs map[string]*sharedObject, names map[string]bool) map[string]bool {
	symbols := map[string]bool{}
	for name := range names {
		maps.Copy(symbols, libs[name].undefined)
	}
	for name := range names {
		maps.DeleteFunc(symbols, func(s string, _ bool) bool { return libs[name].defined[s] })
	}
	return symbols
}

// A sharedObject is what the dynamic loader asks of a library.
type sharedObject struct {
	needed             []string
	searches           bool // in folders of its own for what it needs
	defined, undefined map[string]bool
}

func (s *sharedObject) definesAny(symbols map[string]bool) bool {
	for symbol := range s.defined {
		if symbols[symbol] {
			return true
		}
	}
	return false
}

func readLibrary(path string) (*sharedObject, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s is not a shared library: %w", path, err)
	}
	defer f.Close()
	s := &sharedObject{defined: map[string]bool{}, undefined: map[string]bool{}}
	if s.needed, err = f.ImportedLibraries(); err != nil {
		return nil, fmt.Errorf("what %s needs: %w", path, err)
	}
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		if folders, err := f.DynString(tag); err == nil && len(folders) > 0 {
			s.searches = true
		}
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return nil, fmt.Errorf("symbols of %s: %w", path, err)
	}
	for _, symbol := range symbols {
		switch {
		case elf.ST_BIND(symbol.Info) == elf.STB_LOCAL:
		case symbol.Section == elf.SHN_UNDEF:
			s.undefined[symbol.Name] = true
		default:
			s.defined[symbol.Name] = true
		}
	}
	return s, nil
}

// reach returns the names of what a library loads, itself included, if those in without are not
// loaded.
func reach(libs map[string]*sharedObject, name string, without map[string]bool) map[string]bool {
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if libs[name] == nil || seen[name] || without[name] {
			return
		}
		seen[name] = true
		for _, n := range libs[name].needed {
			visit(n)
		}
	}
	visit(name)
	return seen
}

// load returns the libraries that the one at path loads, and their names in the order in which
// the dynamic loader searches them for symbols. The first is the one at path.
func load(ctx context.Context, path string) (scope []string, libs map[string]*sharedObject, err error) {
	text, err := output(ctx, "ldd", path)
	if err != nil {
		return nil, nil, fmt.Errorf("ldd %s: %w", path, err)
	}
	first, err := readLibrary(path)
	if err != nil {
		return nil, nil, err
	}
	scope, libs = []string{filepath.Base(path)}, map[string]*sharedObject{filepath.Base(path): first}
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		name, rest, ok := strings.Cut(strings.TrimSpace(s.Text()), " => ")
		if !ok { // the loader itself and the kernel's
			continue
		}
		at, _, _ := strings.Cut(rest, " (0x")
		if !filepath.IsAbs(at) {
			return nil, nil, fmt.Errorf("%s is %s", name, rest)
		}
		if libs[name], err = readLibrary(at); err != nil {
			return nil, nil, err
		}
		scope = append(scope, name)
	}
	return scope, libs, nil
}
