//go:build !unix

package atomicfile

import "os"

func lock(*os.File) error { return nil }

// rename gives f its name after closing it, for systems where open files cannot be renamed.
func rename(f *os.File, path string) error {
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// syncFolder does nothing: a folder cannot be synced here.
func syncFolder(string) error { return nil }
