package libtorchenv

import (
	"debug/elf"
	"fmt"
	"runtime"
	"strings"
)

// oldStrings reports whether the library's interface uses libstdc++'s std::string layout from
// before C++11. A program built for the other layout does not link.
func oldStrings(path string) (bool, error) {
	if runtime.GOOS != "linux" {
		return false, nil
	}
	lib, err := elf.Open(path)
	if err != nil {
		return false, fmt.Errorf("%s is not a shared library: %w", path, err)
	}
	defer lib.Close()
	symbols, err := lib.DynamicSymbols()
	if err != nil {
		return false, fmt.Errorf("symbols of %s: %w", path, err)
	}
	for _, s := range symbols {
		ours := s.Section != elf.SHN_UNDEF && strings.Contains(s.Name, "3c10")
		// In mangled names Ss is the old std::string; the new one is spelt out.
		if ours && strings.Contains(s.Name, "7__cxx1112basic_string") {
			return false, nil
		}
	}
	return true, nil
}

// needed returns the names of the libraries that a shared library is linked to.
func needed(path string) ([]string, error) {
	lib, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer lib.Close()
	return lib.ImportedLibraries()
}
