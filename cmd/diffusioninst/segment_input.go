//go:build cgo

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/diffusioninst/go/picture"
)

// A segmentInput is a picture to read. The path "-" is standard input.
type segmentInput struct {
	path, name string
	address    *url.URL // if the picture has one, which is recorded as path; else nil
	line       int      // of the list, if the picture has an address there; else 0
	options    picture.Options
	tiles      bool // the model sees it in tiles
}

// allPages replaces inputs by their pages. One whose pages cannot be read stays, to be an
// error of its own.
func allPages(ctx context.Context, inputs []segmentInput, o picture.Options) ([]segmentInput, error) {
	var out []segmentInput
	for _, in := range inputs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if in.address != nil {
			return nil, fmt.Errorf("%s: --page all needs files, and this is an address", in.name)
		}
		in.options = o
		var pages []picture.Options
		if in.path != "-" {
			pages, _ = picture.Pages(in.path, o)
		}
		if len(pages) < 2 {
			out = append(out, in)
			continue
		}
		for _, page := range pages {
			ext := filepath.Ext(in.name)
			out = append(out, segmentInput{path: in.path, name: strings.TrimSuffix(in.name, ext) + pageName(page) + ext, options: page})
		}
	}
	return out, nil
}

// pageName says which picture of a file options read, as a part of a file name.
func pageName(o picture.Options) string {
	if o.Page > 0 {
		return fmt.Sprintf("_page%d", o.Page)
	}
	name := ""
	for _, axis := range []struct {
		name string
		i    int
	}{{"scene", o.Scene}, {"time", o.Time}, {"z", o.Z}} {
		if axis.i > 0 {
			name += fmt.Sprintf("_%s%d", axis.name, axis.i)
		}
	}
	if len(o.Channels) > 0 {
		name += "_" + strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				return r
			}
			return '-'
		}, strings.Join(o.Channels, "-"))
	}
	return name
}

// findInputs expands the arguments. A picture in a folder among the arguments is named by its
// path below that folder. Pictures in the folders own, which the command writes, are left out
// and counted; one that an argument names itself is refused.
func findInputs(ctx context.Context, args, own []string) (inputs []segmentInput, left int, err error) {
	written := newOwnFolders(own)
	for _, arg := range args {
		if arg == "-" {
			inputs = append(inputs, segmentInput{path: "-", name: "stdin.png"})
			continue
		}
		address, err := parseAddress(arg)
		if err != nil {
			return nil, 0, err
		}
		if address != nil {
			found, err := findAddresses(ctx, address)
			if err != nil {
				return nil, 0, err
			}
			folder := strings.HasSuffix(address.Path, "/")
			for _, u := range found {
				in := segmentInput{path: recorded(u), name: path.Base(placeOf(u)), address: u}
				if folder && u != address {
					in.name = strings.TrimPrefix(placeOf(u), strings.TrimSuffix(placeOf(address), "/")+"/")
				}
				inputs = append(inputs, in)
			}
			continue
		}
		paths, err := picture.Find([]string{arg})
		if err != nil {
			return nil, 0, err
		}
		info, err := os.Stat(arg)
		folder := err == nil && info.IsDir()
		for _, p := range paths {
			name := filepath.Base(p)
			if folder {
				if name, err = filepath.Rel(arg, p); err != nil {
					return nil, 0, err
				}
			}
			if written.hold(p) {
				if p == arg || folder && written.hold(arg) {
					return nil, 0, fmt.Errorf("%s lies in a folder that this command writes, and would be replaced: choose another --output", p)
				}
				left++
				continue
			}
			inputs = append(inputs, segmentInput{path: p, name: filepath.ToSlash(name)})
		}
	}
	distinguish(inputs)
	if len(inputs) == 0 {
		return nil, 0, fmt.Errorf("all %s lie in folders that this command writes: name others", counted(left, "picture"))
	}
	return inputs, left, nil
}

// warnOfNames warns of names that JSON files cannot hold: in them two pictures may have the same.
func warnOfNames(inputs []segmentInput, warn func(string, ...any)) {
	n, first := 0, ""
	for _, in := range inputs {
		if !utf8.ValidString(in.name) {
			n, first = n+1, cmp.Or(first, in.name)
		}
	}
	if n > 0 {
		warn("%s with a name that is not UTF-8 (the first: %q): JSON files have � in place of such bytes", counted(n, "picture"), first)
	}
}

// open reads the picture, and returns the stamp of what it has read.
func (in segmentInput) open(ctx context.Context, stream *picture.Stream) (*picture.Picture, string, error) {
	var stamp string
	p, err := await(ctx, func() (p *picture.Picture, err error) {
		if stream != nil {
			return stream.Next()
		}
		p, stamp, err = in.fetched(ctx, func(in segmentInput) (*picture.Picture, error) {
			p, err := picture.Open(in.path, in.options)
			if err != nil {
				return in.inParts(in.options, err)
			}
			return p, nil
		})
		return p, err
	})
	if err != nil {
		return nil, "", err // what await has left may still write the stamp
	}
	return p, stamp, nil
}

// original reads the picture at the depth of its file, with all channels.
func (in segmentInput) original(ctx context.Context) (*original, error) {
	return await(ctx, func() (*original, error) {
		out := &original{}
		var err error
		out.Picture, out.stamp, err = in.fetched(ctx, func(in segmentInput) (p *picture.Picture, err error) {
			if p, out.channels, err = picture.OpenChannels(in.path, in.options); err == nil {
				return p, nil
			}
			o := in.options
			o.Normalize = ""
			if p, err = in.inParts(o, err); err != nil {
				return nil, err
			}
			out.channels = p.Samples()
			if held, all := len(out.channels), len(p.Channels); held < all {
				p.Notes = append(p.Notes, fmt.Sprintf("of %d channels only those that are segmented are measured: it is too large to be read at once", all))
			}
			return p, nil
		})
		if err != nil {
			return nil, err
		}
		return out, nil
	})
}

// inParts opens a picture that is too large to be read at once, which the cause says, as one that
// stays in its file. That is for TIFF files whose tiles the model sees one by one; for others the
// error is the cause.
func (in segmentInput) inParts(o picture.Options, cause error) (*picture.Picture, error) {
	if !errors.Is(cause, picture.ErrTooLarge) {
		return nil, cause
	}
	if !in.tiles {
		o.Normalize = "" // which would read it all
	}
	p, err := picture.OpenSource(in.path, o)
	switch {
	case errors.Is(err, picture.ErrFormat):
		return nil, cause
	case err == nil && !in.tiles:
		return nil, errors.Join(fmt.Errorf("%w: --tile N segments a TIFF file of this size in parts", cause), p.Close())
	}
	return p, err
}

// String returns what messages call the picture.
func (in segmentInput) String() string {
	if in.address != nil {
		return shown(in.address)
	}
	return in.path
}

// withLine adds to an error of an address whose query is not shown where the list has it.
func (in segmentInput) withLine(err error) error {
	if in.line == 0 || in.address.RawQuery == "" {
		return err
	}
	return fmt.Errorf("--list, line %d: %w", in.line, err)
}

// absolute returns the path, or the address, wherever the program is started.
func (in segmentInput) absolute() (string, error) {
	if in.address != nil {
		return in.path, nil
	}
	return filepath.Abs(in.path)
}

// folderMissing reports whether a file's folder is missing, too: then a volume that is not mounted is likelier than a
// picture that does not exist.
func (in segmentInput) folderMissing() bool {
	if in.address != nil || in.path == "-" {
		return false
	}
	_, err := os.Stat(filepath.Dir(in.path))
	return errors.Is(err, fs.ErrNotExist)
}

// stamp identifies the content of a file by its size and time, or is empty for standard input.
func (in segmentInput) stamp(ctx context.Context) string {
	if in.path == "-" {
		return ""
	}
	if in.address != nil {
		return addressStamp(ctx, in.address)
	}
	return fileStamp(in.path)
}

// fileStamp identifies the content of a file by its size and time; empty for a missing one.
func fileStamp(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d bytes of %d", info.Size(), info.ModTime().UnixNano())
}
