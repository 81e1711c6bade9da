//go:build !unix

package atomicfile

import (
	"context"
	"os"
)

func lock(*os.File) error { return nil }

// rename closes f, then renames it to path: open files cannot be renamed on every system.
func rename(f *os.File, path string) error {
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// checkFolder returns an error if the folder does not exist.
func checkFolder(path string) error {
	_, err := os.Stat(path)
	return err
}

// syncFolder does nothing: folders cannot be synced on these systems.
func syncFolder(string) error { return nil }

// openPipe opens a named pipe, and waits for its reader.
func openPipe(_ context.Context, path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY, 0)
}
