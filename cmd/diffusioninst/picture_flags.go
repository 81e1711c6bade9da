//go:build cgo

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/picture"
)

// pictureFlags choose among the pages and channels of a file.
type pictureFlags struct{ page, channel, z string }

func (p *pictureFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&p.page, "page", "", `page of TIFF files with several: a number from 1, or "all" to segment each`)
	f.StringVar(&p.channel, "channel", "", `channel of pictures with several: a number from 1, a name (DAPI, red), or two or three such as 3,1,2 to be seen as red, green and blue (default: the first, or the colours)`)
	f.StringVar(&p.z, "z", "", `slice of TIFF stacks: a number from 1, or "max" for the greatest value of each pixel`)
}

// options returns what the flags choose, and whether it is all pages.
func (p *pictureFlags) options() (o picture.Options, all bool, err error) {
	number := func(flag, text, word string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return 0, fmt.Errorf("--%s %s: want a number from 1, or %s", flag, text, word)
		}
		return n, nil
	}
	switch p.page {
	case "":
	case "all":
		all = true
	default:
		if o.Page, err = number("page", p.page, "all"); err != nil {
			return o, false, err
		}
	}
	switch p.z {
	case "":
	case "max":
		o.MaxZ = true
	default:
		if o.Z, err = number("z", p.z, "max"); err != nil {
			return o, false, err
		}
	}
	if p.page != "" && p.z != "" {
		return o, false, errors.New("--page and --z exclude each other: a page is one slice")
	}
	if p.channel != "" {
		o.Channels = strings.Split(p.channel, ",")
		if len(o.Channels) > 3 {
			return o, false, fmt.Errorf("--channel %s: at most three, for red, green and blue", p.channel)
		}
	}
	return o, all, nil
}

// withFlag adds the flag that helps to a warning of picture.Normalize.
func withFlag(warning string) string {
	if warning == "" {
		return ""
	}
	return warning + " (--norm 1,99.8)"
}

// A pictureNotes counts what was remarkable about pictures, to be said once at the end.
type pictureNotes struct {
	names  map[string]string // first picture of each kind of note
	counts map[string]int
	texts  map[string]string
	order  []string
}

// add counts a note of a kind about a picture. An empty one is none.
func (n *pictureNotes) add(kind, name, text string) {
	if text == "" {
		return
	}
	if n.counts == nil {
		n.names, n.counts, n.texts = map[string]string{}, map[string]int{}, map[string]string{}
	}
	if n.counts[kind]++; n.counts[kind] == 1 {
		n.order = append(n.order, kind)
		n.names[kind], n.texts[kind] = name, text
	}
}

// warn says the notes.
func (n *pictureNotes) warn(warn func(format string, args ...any)) {
	for _, kind := range n.order {
		more := ""
		if count := n.counts[kind]; count > 1 {
			more = fmt.Sprintf(" (and %d more pictures in like manner)", count-1)
		}
		warn("%s: %s%s", n.names[kind], n.texts[kind], more)
	}
}
