package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/picture"
)

// pictureFlags choose among the pages and channels of files.
type pictureFlags struct {
	page, channel, z string
	time, scene      int
	level            int
	set              func(name string) bool // whether the user gave the flag
}

// add adds the flags. Only a command that segments each page takes all of them.
func (p *pictureFlags) add(cmd *cobra.Command, all bool) {
	f := cmd.Flags()
	page := `page of TIFF files with several: a number from 1`
	if all {
		page += `, or "all" to segment each that the other flags leave`
	}
	f.StringVar(&p.page, "page", "", page)
	f.StringVar(&p.channel, "channel", "", `channel of pictures with several: a number from 1, a name (DAPI, red), or two or three such as 3,1,2 to be seen as red, green and blue (default: the first, or the colours)`)
	f.StringVar(&p.z, "z", "", `slice of TIFF stacks: a number from 1, or "max" for the greatest value of each pixel`)
	f.IntVar(&p.time, "time", 0, "frame of TIFF series, from 1")
	f.IntVar(&p.scene, "scene", 0, "image of OME-TIFF files with several, from 1")
	f.IntVar(&p.level, "level", 0, "smaller copy of TIFF pyramids such as whole slides: 1 is the first (default: full resolution)")
	p.set = f.Changed
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
	o.Time, o.Scene, o.Level = p.time, p.scene, p.level
	if o.Level < 0 {
		return o, false, fmt.Errorf("--level %d: 0 is the full resolution, 1 the first smaller copy", o.Level)
	}
	for name, n := range map[string]int{"time": o.Time, "scene": o.Scene} {
		if p.set(name) && n < 1 {
			return o, false, fmt.Errorf("--%s %d: want a number from 1", name, n)
		}
	}
	if o.Page > 0 && (p.z != "" || o.Time > 0 || o.Scene > 0) {
		return o, false, errors.New("--page N is one page of the file, and excludes --z, --time and --scene: these choose by the axes of a stack, and --page all takes each page that they leave")
	}
	if p.channel != "" {
		o.Channels = strings.Split(p.channel, ",")
		if len(o.Channels) > 3 {
			return o, false, fmt.Errorf("--channel %s: at most three, for red, green and blue", p.channel)
		}
	}
	return o, all, nil
}

// one returns what the flags choose of each file, for commands that read one picture per file.
func (p *pictureFlags) one() (picture.Options, error) {
	o, all, err := p.options()
	if err == nil && all {
		err = errors.New("--page all: a picture of a data set is one page; segment takes all")
	}
	return o, err
}

// String returns the flags that are given, for logs of what was done.
func (p *pictureFlags) String() string {
	var out []string
	for _, f := range []struct{ name, value string }{
		{"page", p.page}, {"channel", p.channel}, {"z", p.z}, {"time", strconv.Itoa(p.time)}, {"scene", strconv.Itoa(p.scene)}, {"level", strconv.Itoa(p.level)},
	} {
		if p.set(f.name) {
			out = append(out, "--"+f.name+" "+f.value)
		}
	}
	return strings.Join(out, " ")
}
