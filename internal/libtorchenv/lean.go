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
	if cpu == nil || cpu.ownPlaces { // which come before those of the program
		return nil, nil
	}
	out := unreferenced(cpu, scope, libs)
	for before := -1; before != len(out); { // each library that stays may need others
		before = len(out)
		stay := reach(libs, scope[0], out)
		keepListed(out, stay, cpu, libs)
		if len(out) == before {
			keepDefining(out, stay, libs)
		}
		if len(out) == before {
			keepAlone(out, stay, libs)
		}
	}
	return slices.Sorted(maps.Keys(out)), nil
}

// unreferenced returns the libraries that cpu lists and takes no symbol from, as the dynamic
// loader searches.
func unreferenced(cpu *sharedObject, scope []string, libs map[string]*sharedObject) map[string]bool {
	used := map[*sharedObject]bool{}
	for symbol, library := range cpu.undefined {
		used[libs[library]] = true // which has the version of the symbol
		for _, name := range scope {
			if _, ok := libs[name].defined[symbol]; ok {
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
	return out
}

// keepListed takes from out what others than cpu list.
func keepListed(out, stay map[string]bool, cpu *sharedObject, libs map[string]*sharedObject) {
	for name := range stay {
		if libs[name] != cpu {
			for _, n := range libs[name].needed {
				delete(out, n)
			}
		}
	}
}

// keepDefining takes from out what brings a symbol that is used and defined nowhere else.
func keepDefining(out, stay map[string]bool, libs map[string]*sharedObject) {
	symbols := missing(libs, stay)
	maps.DeleteFunc(out, func(name string, _ bool) bool {
		for reached := range reach(libs, name, nil) {
			if !stay[reached] && libs[reached].definesAny(symbols) {
				return true
			}
		}
		return false
	})
}

// keepAlone takes from out what brings no others along: it costs little, and the program may use
// it itself.
func keepAlone(out, stay map[string]bool, libs map[string]*sharedObject) {
	maps.DeleteFunc(out, func(name string, _ bool) bool {
		others := reach(libs, name, stay)
		delete(others, name)
		return len(others) == 0
	})
}

// missing returns the symbols that none of the named libraries defines, although some use them.
func missing(libs map[string]*sharedObject, names map[string]bool) map[string]bool {
	symbols := map[string]bool{}
	for name := range names {
		for symbol := range libs[name].undefined {
			symbols[symbol] = true
		}
	}
	for name := range names {
		for symbol := range libs[name].defined {
			delete(symbols, symbol)
		}
	}
	return symbols
}

// A sharedObject is what the dynamic loader asks of a library.
type sharedObject struct {
	needed    []string
	ownPlaces bool                // whether it says where what it needs is
	defined   map[string]struct{} // symbols
	undefined map[string]string   // symbols, and the libraries that versions of them are of
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
	s := &sharedObject{defined: map[string]struct{}{}, undefined: map[string]string{}}
	if s.needed, err = f.ImportedLibraries(); err != nil {
		return nil, fmt.Errorf("what %s needs: %w", path, err)
	}
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		if folders, err := f.DynString(tag); err == nil && len(folders) > 0 {
			s.ownPlaces = true
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
			s.undefined[symbol.Name] = symbol.Library
		default:
			s.defined[symbol.Name] = struct{}{}
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
		if real, err := filepath.EvalSymlinks(at); err == nil && filepath.Base(real) == standIn {
			return nil, nil, fmt.Errorf("%s is %s: unset LD_LIBRARY_PATH", name, at)
		}
		if libs[name], err = readLibrary(at); err != nil {
			return nil, nil, err
		}
		scope = append(scope, name)
	}
	return scope, libs, nil
}
