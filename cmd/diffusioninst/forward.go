package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// companion is the program with every command that make build puts beside one built without
// cgo, so that only running a model waits for LibTorch to be loaded (0.4 s).
const companion = "diffusioninst-libtorch"

// companionPath returns the path of the companion beside this program, or "" if there is none
// or this program needs none.
func companionPath() string {
	self, err := os.Executable()
	if err != nil || len(modelCommands) > 0 {
		return ""
	}
	path, err := exec.LookPath(filepath.Join(filepath.Dir(self), companion))
	if err != nil {
		return ""
	}
	return path
}

// forward replaces this process by the companion if only that has what args ask for. It
// returns if not, or if the companion cannot be started.
func forward(args []string) error {
	path := companionPath()
	if path == "" || !asksForLibTorch(args) {
		return nil
	}
	err := syscall.Exec(path, append([]string{os.Args[0]}, args...), os.Environ())
	return fmt.Errorf("start %s: %w", path, err)
}

// asksForLibTorch reports whether args run a command that needs LibTorch. Doctor is one, since it
// tries LibTorch; help and completion are not, which commandTexts has.
func asksForLibTorch(args []string) bool {
	if len(args) == 0 {
		return false
	}
	for _, arg := range args[1:] {
		if arg == "--" {
			break
		}
		if arg == "--help" || arg == "-h" {
			return false
		}
	}
	return args[0] == "doctor" || slices.ContainsFunc(needLibTorch(), func(c commandText) bool { return c.Use == args[0] || strings.HasPrefix(c.Use, args[0]+" ") })
}
