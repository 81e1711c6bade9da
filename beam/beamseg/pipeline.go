package beamseg

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"github.com/diffusioninst/go/internal/utf"
)

func init() {
	register.DoFn3x1[context.Context, string, func(Picture), error](&listFn{})
	register.Emitter1[Picture]()
}

// Pipeline returns a pipeline that segments pictures and writes what it finds (see [Write]). The pictures' paths are a part of its
// graph, which Dataflow takes up to about 10 MB: [ListPipeline] is for longer lists.
func Pipeline(pictures []Picture, o Options, prefix string, shards int) *beam.Pipeline {
	p, s := beam.NewPipelineWithRoot()
	Write(s, Segment(s, beam.CreateList(s, pictures), o), o.Format, prefix, shards)
	return p
}

// ListPipeline is Pipeline of the pictures of a list (see [ReadList]).
func ListPipeline(list string, o Options, prefix string, shards int) *beam.Pipeline {
	p, s := beam.NewPipelineWithRoot()
	Write(s, Segment(s, ReadList(s, list), o), o.Format, prefix, shards)
	return p
}

// ReadList returns the pictures of a list, a PCollection of [Picture], as [List] does, but read by a worker, from a path or an
// address of a file system that Beam knows: the graph does not grow with the list.
func ReadList(s beam.Scope, list string) beam.PCollection {
	s = s.Scope("diffusioninst.ReadList")
	return beam.ParDo(s, &listFn{}, beam.Create(s, list))
}

// A listFn is a DoFn that reads lists.
type listFn struct{}

// ProcessElement reads a list.
func (f *listFn) ProcessElement(ctx context.Context, list string, emit func(Picture)) error {
	fs, err := filesystem.New(ctx, list)
	if err != nil {
		return fmt.Errorf("beamseg: the list: %w", err)
	}
	defer fs.Close()
	r, err := fs.OpenRead(ctx, list)
	if err != nil {
		return fmt.Errorf("beamseg: the list: %w", err)
	}
	defer r.Close()
	pictures, err := List(ctx, r)
	if err != nil {
		return err
	}
	for _, p := range pictures {
		emit(p)
	}
	return nil
}

// List returns the pictures of a list whose lines are paths, addresses or globs of a file system that Beam
// knows; one that it does not know is an error. Their ids are their numbers, from 1. Empty lines are passed over, and what is named again is listed once.
// A glob that matches nothing is a picture that will fail, as a path that is not there is. A file whose name is that of a glob is itself.
func List(ctx context.Context, r io.Reader) ([]Picture, error) {
	text, err := utf.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("beamseg: the list: %w", err)
	}
	var out []Picture
	seen, registered := map[string]bool{}, map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		if scheme, _, _ := strings.Cut(line, "://"); !registered[scheme] && len(scheme) < len(line) {
			fs, err := filesystem.New(ctx, line)
			if err != nil {
				return nil, fmt.Errorf("beamseg: the list: %w", err)
			}
			_ = fs.Close()
			registered[scheme] = true
		}
		paths, err := expand(ctx, line)
		if err != nil {
			return nil, fmt.Errorf("beamseg: %s: %w", line, err)
		}
		for _, path := range paths {
			if !seen[path] {
				seen[path] = true
				out = append(out, Picture{int64(len(out) + 1), path})
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("beamseg: the list: %w", err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("beamseg: the list names no picture")
	}
	return out, nil
}

// expand returns the paths that a line of a list names.
func expand(ctx context.Context, line string) ([]string, error) {
	if !strings.ContainsAny(line, "*?[") {
		return []string{line}, nil
	}
	fs, err := filesystem.New(ctx, line)
	if err != nil {
		return nil, err
	}
	defer fs.Close()
	if _, err := fs.Size(ctx, line); err == nil {
		return []string{line}, nil
	}
	paths, err := fs.List(ctx, line)
	if err == nil && len(paths) == 0 {
		paths = []string{line}
	}
	return paths, err
}
