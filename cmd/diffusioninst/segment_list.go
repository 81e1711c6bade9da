//go:build cgo

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/internal/utf"
	"github.com/diffusioninst/go/picture"
)

// maxList is the largest list of pictures in bytes.
const maxList = 1 << 30

// readList reads what --list names: a file, or standard input for "-", with a picture, folder
// or glob in each line.
func readList(path string, stdin io.Reader) ([]string, error) {
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
	var out []string
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if line := strings.TrimRight(lines.Text(), "\r"); strings.TrimSpace(line) != "" {
			out = append(out, line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("--list %s, line %d: %w", path, len(out)+1, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("--list %s: no lines", path)
	}
	return out, nil
}

// listedInputs returns the pictures of a list. What is not there, or a glob without a match, is
// a picture that fails, so that the numbers of the others stay. Names are paths below the folder
// that all pictures share. Pictures in the folders own, which the command writes, are refused.
func listedInputs(ctx context.Context, lines, own []string) ([]segmentInput, error) {
	written := newOwnFolders(own)
	var out []segmentInput
	seen := map[string]bool{}
	for _, line := range lines {
		if line == "-" {
			return nil, errors.New(`--list: a line "-" would be standard input, which has no place in a list`)
		}
		address, err := parseAddress(line)
		if err != nil {
			return nil, fmt.Errorf("--list: %w", err)
		}
		if address != nil {
			addresses, err := findAddresses(ctx, address)
			if errors.Is(err, errNothingThere) {
				addresses, err = []*url.URL{address}, nil
			}
			if err != nil {
				return nil, fmt.Errorf("--list: %w", err)
			}
			for _, u := range addresses {
				if place := recorded(u); !seen[place] {
					seen[place] = true
					out = append(out, segmentInput{path: place, name: placeOf(u), address: u})
				}
			}
			continue
		}
		found := []string{line}
		if info, err := os.Stat(line); err == nil && info.IsDir() || err != nil && strings.ContainsAny(line, "*?[") {
			if pictures, err := picture.Find(found); err == nil {
				found = pictures
			}
		}
		for _, path := range found {
			absolute, err := filepath.Abs(path)
			if err != nil {
				return nil, err
			}
			if seen[absolute] {
				continue
			}
			seen[absolute] = true
			if written.hold(path) {
				return nil, fmt.Errorf("%s lies in a folder that this command writes: choose another --output", path)
			}
			out = append(out, segmentInput{path: path, name: absolute})
		}
	}
	common := commonFolder(out)
	for i := range out {
		name, err := filepath.Rel(common, out[i].name)
		if err != nil {
			return nil, err
		}
		out[i].name = filepath.ToSlash(name)
	}
	return out, nil
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
