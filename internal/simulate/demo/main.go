// Demo writes the picture of the demonstration and its true masks into a folder.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/diffusioninst/go/internal/simulate"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(folder string) error {
	picture, dataset, err := simulate.Demo()
	if err != nil {
		return err
	}
	path := filepath.Join(folder, simulate.DemoName)
	if err := os.WriteFile(path, picture, 0o644); err != nil {
		return err
	}
	return os.WriteFile(strings.TrimSuffix(path, ".png")+".json", dataset, 0o644)
}
