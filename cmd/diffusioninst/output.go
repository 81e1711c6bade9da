package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode"

	"github.com/diffusioninst/go/internal/atomicfile"
)

// outputLocks are the locks of the folders that a command writes.
type outputLocks []*atomicfile.FolderLock

// lockOutputs makes and locks folders, and refuses those that cannot be written: now, not
// after hours. Empty names are left out, and a folder may be named twice.
func lockOutputs(folders ...string) (outputLocks, error) {
	var locks outputLocks
	var known []os.FileInfo
	for _, folder := range folders {
		if folder == "" {
			continue
		}
		if info, err := os.Stat(folder); err == nil && isAmong(known, info) {
			continue
		}
		l, err := atomicfile.LockFolder(folder)
		if err != nil {
			return nil, errors.Join(err, locks.Close())
		}
		locks = append(locks, l)
		info, err := os.Stat(folder)
		if err != nil {
			return nil, errors.Join(err, locks.Close())
		}
		known = append(known, info)
	}
	return locks, nil
}

func isAmong(known []os.FileInfo, info os.FileInfo) bool {
	for _, k := range known {
		if os.SameFile(k, info) {
			return true
		}
	}
	return false
}

// keepTruth refuses to replace the true masks of --gt by what is compared with them.
func keepTruth(truth, output string) error {
	source, err := os.Stat(truth)
	if err != nil {
		return nil // whoever reads it says so
	}
	if there, err := os.Stat(output); err == nil && os.SameFile(source, there) {
		return fmt.Errorf("%s would replace the true masks of --gt: choose another output", output)
	}
	return nil
}

// Close unlocks the folders.
func (l outputLocks) Close() error {
	var errs []error
	for _, lock := range l {
		errs = append(errs, lock.Close())
	}
	return errors.Join(errs...)
}

// writeInFolder writes a file into a folder that the command has locked.
func writeInFolder(path string, write func(io.Writer) error) error {
	var b atomicfile.Batch
	defer b.Abort()
	f, err := b.Create(path)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	return b.Commit()
}

// A cancelWriter writes until its context is done.
type cancelWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c cancelWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}

// writeJSON replaces a file by a value as JSON.
func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// diskFails reports whether an error of writing will meet every further file, too.
func diskFails(err error) bool {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS, syscall.EIO} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

// printable returns a name as it is, or quoted if it has characters that would confuse a
// terminal or a table.
func printable(name string) string {
	if strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return name
	}
	return strconv.Quote(name)
}

// visible replaces characters that would confuse a terminal in a message, whose names come
// from files; lines stay.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// realPath returns a path without symbolic links and relative parts, as far as it exists.
func realPath(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	rest := ""
	for at := path; ; at = filepath.Dir(at) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest)
		}
		if at == filepath.Dir(at) {
			return path
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

// ownFolders are the real paths of folders that a command writes.
type ownFolders struct {
	folders []string
	real    map[string]string // of folders that pictures lie in
}

func newOwnFolders(folders []string) ownFolders {
	out := ownFolders{real: map[string]string{}}
	for _, f := range folders {
		out.folders = append(out.folders, realPath(f))
	}
	return out
}

// hold reports whether a path lies in one of the folders.
func (o ownFolders) hold(path string) bool {
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
		return o.holdFile(path)
	}
	return o.holdReal(realPath(path))
}

// holdFile is hold of a path that is no link and no folder.
func (o ownFolders) holdFile(path string) bool {
	folder := filepath.Dir(path)
	if _, known := o.real[folder]; !known {
		o.real[folder] = realPath(folder)
	}
	return o.holdReal(filepath.Join(o.real[folder], filepath.Base(path)))
}

func (o ownFolders) holdReal(path string) bool {
	return slices.ContainsFunc(o.folders, func(folder string) bool { return within(path, folder) })
}

// within reports whether a path is a folder or lies below it. Both are of realPath.
func within(path, folder string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(rel)
}
