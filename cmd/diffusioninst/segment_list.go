//go:build cgo

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/internal/utf"
	"github.com/diffusioninst/go/picture"
)

// maxList is the largest list of pictures in bytes.
const maxList = 1 << 30

// A listLine is a line of a list that is not blank.
type listLine struct {
	text   string
	number int // in the file, from 1
}

// readList reads what --list names: a file, or standard input for "-", with a picture, folder
// or glob in each line.
func readList(path string, stdin io.Reader) ([]listLine, error) {
	var text []byte
	var err error
	if path == "-" {
		if text, err = io.ReadAll(io.LimitReader(stdin, maxList+1)); len(text) > maxList {
			err = fmt.Errorf("more than %d MiB", maxList>>20)
		}
	} else {
		text, err = regular.ReadFile(path, maxList)
	}
	if err == nil {
		text, err = utf.Text(text)
	}
	if err == nil && bytes.IndexByte(text, 0) >= 0 {
		err = errors.New("not a text file")
	}
	if err != nil {
		return nil, fmt.Errorf("--list %s: %w", path, err)
	}
	var out []listLine
	lines, number := bufio.NewScanner(bytes.NewReader(text)), 1
	lines.Buffer(nil, 1<<20)
	for ; lines.Scan(); number++ {
		if line := strings.TrimRight(lines.Text(), "\r"); strings.TrimSpace(line) != "" {
			out = append(out, listLine{line, number})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("--list %s, line %d: %w", path, number, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("--list %s: no lines", path)
	}
	return out, nil
}

// listedInputs returns the pictures of a list. What is not there, or a glob without a match, is
// a picture that fails, so that the numbers of the others stay. Names are paths below the folder
// that all pictures share. Pictures in the folders own, which the command writes, are refused.
func listedInputs(ctx context.Context, lines []listLine, own []string, warn func(string, ...any)) ([]segmentInput, error) {
	written, files := newOwnFolders(own), newListedFiles(lines)
	var out []segmentInput
	seen, again, example := map[string]bool{}, 0, ""
	for _, l := range lines {
		line := l.text
		if line == "-" {
			return nil, fmt.Errorf(`--list, line %d: "-" would be standard input, which has no place in a list`, l.number)
		}
		address, err := parseAddress(line)
		if err != nil {
			return nil, fmt.Errorf("--list, line %d: %w", l.number, err)
		}
		if address != nil {
			addresses, err := findAddresses(ctx, address)
			if errors.Is(err, errNothingThere) {
				addresses, err = []*url.URL{address}, nil
			}
			if err != nil {
				return nil, fmt.Errorf("--list, line %d: %w", l.number, err)
			}
			for _, u := range addresses {
				place := recorded(u)
				if seen[place] {
					again, example = again+1, cmp.Or(example, fmt.Sprintf("line %d, %s", l.number, shown(u)))
					continue
				}
				seen[place] = true
				out = append(out, segmentInput{path: place, name: placeOf(u), address: u, line: l.number})
			}
			continue
		}
		found := []string{line}
		plain := files.has(line)
		if plain {
			// It is looked at when its turn comes.
		} else if info, err := os.Stat(line); err == nil && info.IsDir() || err != nil && strings.ContainsAny(line, "*?[") {
			switch pictures, err := picture.Find(found); {
			case err == nil:
				found = pictures
			case !errors.Is(err, picture.ErrNoFiles) && !errors.Is(err, fs.ErrNotExist):
				return nil, fmt.Errorf("--list, line %d: %w", l.number, err)
			}
		}
		for _, file := range found {
			absolute, err := filepath.Abs(file)
			if err != nil {
				return nil, err
			}
			if seen[absolute] {
				again, example = again+1, cmp.Or(example, fmt.Sprintf("line %d, %s", l.number, file))
				continue
			}
			seen[absolute] = true
			if plain && written.holdFile(file) || !plain && written.hold(file) {
				return nil, fmt.Errorf("%s lies in a folder that this command writes: choose another --output", file)
			}
			out = append(out, segmentInput{path: file, name: absolute})
		}
	}
	if again > 0 {
		warn("--list: %s again that the list has already, left out (the first: %s)", counted(again, "picture"), example)
	}
	common := commonFolder(out)
	for i := range out {
		name, err := filepath.Rel(common, out[i].name)
		if err != nil {
			return nil, err
		}
		out[i].name = filepath.ToSlash(name)
	}
	distinguish(out)
	return out, nil
}

// distinguish gives addresses that share a name, such as those that differ in what follows a question mark, names of their own.
func distinguish(inputs []segmentInput) {
	count := map[string]int{}
	for _, in := range inputs {
		count[in.name]++
	}
	for i, in := range inputs {
		if in.address != nil && count[in.name] > 1 {
			of, ext := sha256.Sum256([]byte(in.path)), path.Ext(in.name)
			inputs[i].name = strings.TrimSuffix(in.name, ext) + "-" + hex.EncodeToString(of[:nameSum]) + ext
		}
	}
}

// commonFolder returns the deepest folder that all inputs, whose names are absolute paths, lie in.
func commonFolder(inputs []segmentInput) string {
	folder := filepath.Dir(inputs[0].name)
	for _, in := range inputs[1:] {
		for !within(in.name, folder) {
			folder = filepath.Dir(folder)
		}
	}
	return folder
}

// listSum returns what tells lists of pictures apart.
func listSum(inputs []segmentInput) string {
	h := sha256.New()
	for _, in := range inputs {
		path, _ := in.absolute()
		fmt.Fprintf(h, "%s\x00%s\x00", path, in.name)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
