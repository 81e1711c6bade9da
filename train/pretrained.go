package train

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Pretrained is an nn.Source of the parameters that a checkpoint has for a model, and of
// drawn values for the others: the start of training on top of what another training
// has learned. It must be open while New uses it.
type Pretrained struct {
	Path     string
	Taken    []string      // parameters that come from the checkpoint
	Drawn    []string      // parameters that are drawn
	Reshaped []nn.Mismatch // those of them that the checkpoint has, in another shape
	Unused   []string      // tensors of the checkpoint that the model has no use for

	nn.Source
	file *checkpoint.File
}

// OpenPretrained finds the parameters of the model that c describes in a checkpoint. It may be
// an ImageNet backbone with the names of torchvision, Detectron2, Caffe2 (MSRA) or the
// official Swin Transformers, or a DiffusionInst, also one for other classes: then its
// class_logits are drawn. What is drawn follows from the seed, as with nn.FromSeed.
//
// A file that cannot be read, that has nothing for the model, or that fits it in two
// ways, is a *diffusioninst.LoadError. Colours are not part of a file: backbones of Caffe2 and
// MSRA expect diffusioninst.Input with BGR and a Std of 1.
func OpenPretrained(ctx context.Context, path string, c diffusioninst.Config, seed uint64) (*Pretrained, error) {
	wanted, err := parametersOf(ctx, c)
	if err != nil {
		return nil, err
	}
	file, err := checkpoint.Open(path)
	if err != nil {
		return nil, &diffusioninst.LoadError{Path: path, Err: err}
	}
	p, err := match(file, wanted, seed)
	if err != nil {
		_ = file.Close()
		return nil, &diffusioninst.LoadError{Path: path, Err: err}
	}
	p.Path = path
	return p, nil
}

// ReadPretrained is OpenPretrained for size bytes behind a reader, such as a checkpoint
// that the program carries in itself.
func ReadPretrained(ctx context.Context, r io.ReaderAt, size int64, c diffusioninst.Config, seed uint64) (*Pretrained, error) {
	wanted, err := parametersOf(ctx, c)
	if err != nil {
		return nil, err
	}
	file, err := checkpoint.Read(r, size)
	if err != nil {
		return nil, &diffusioninst.LoadError{Err: err}
	}
	p, err := match(file, wanted, seed)
	if err != nil {
		return nil, &diffusioninst.LoadError{Err: err}
	}
	return p, nil
}

// Close closes the checkpoint.
func (p *Pretrained) Close() error { return p.file.Close() }

func match(file *checkpoint.File, wanted []checkpoint.Param, seed uint64) (*Pretrained, error) {
	m, err := checkpoint.Match(file.Model(), wanted)
	if err != nil {
		return nil, err
	}
	p := &Pretrained{Source: nn.FromMatching(m, seed), file: file}
	for _, w := range wanted {
		if m.Tensors[w.Name] != nil {
			p.Taken = append(p.Taken, w.Name)
			continue
		}
		p.Drawn = append(p.Drawn, w.Name)
		if t := m.Mismatched[w.Name]; t != nil {
			p.Reshaped = append(p.Reshaped, nn.Mismatch{Name: w.Name, Want: checkpoint.Ints(w.Shape), Have: checkpoint.Ints(t.Shape)})
		}
	}
	for _, t := range m.Unused {
		if !checkpoint.Bookkeeping(t.Name) {
			p.Unused = append(p.Unused, t.Name)
		}
	}
	if len(p.Taken) == 0 {
		return nil, fmt.Errorf("none of its %d tensors is one of the model's %d parameters", len(file.Tensors), len(wanted))
	}
	return p, nil
}

// String says in a few lines what comes from where; names are cut to what they have in common.
func (p *Pretrained) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of the model's %d parameters come from %s", len(p.Taken), len(p.Taken)+len(p.Drawn), cmp.Or(p.Path, "the checkpoint"))
	if len(p.Drawn) > 0 {
		fmt.Fprintf(&b, "; random: %s", strings.Join(summary(p.Drawn, p.Taken), ", "))
	}
	for _, m := range p.Reshaped {
		fmt.Fprintf(&b, "\n  %s has shape %v here, but %v in the file", m.Name, m.Want, m.Have)
	}
	if len(p.Unused) > 0 {
		fmt.Fprintf(&b, "\n  tensors of the file that are not used: %s", strings.Join(summary(p.Unused, nil), ", "))
	}
	return b.String()
}

// summary shortens names: head.* stands for some that begin with "head." where none of
// the others does.
func summary(names, others []string) []string {
	var out []string
	for _, name := range names {
		short := name
		for i, c := range name {
			begin := name[:i+1]
			if c == '.' && !slices.ContainsFunc(others, func(o string) bool { return strings.HasPrefix(o, begin) }) {
				short = begin + "*"
				break
			}
		}
		if !slices.Contains(out, short) {
			out = append(out, short)
		}
	}
	return out
}

// asked is a source that notes what it is asked for.
type asked struct{ list []checkpoint.Param }

func (a *asked) Parameter(s *torch.Scope, name string, shape []int, _ nn.Init) (*torch.Tensor, error) {
	a.list = append(a.list, checkpoint.Param{Name: name, Shape: checkpoint.Int64s(shape)})
	return s.Zeros(torch.F32(torch.CPU), shape...), nil
}

func (*asked) Names() []string { return nil }

// parametersOf lists the parameters and buffers of a model for training.
func parametersOf(ctx context.Context, c diffusioninst.Config) ([]checkpoint.Param, error) {
	c, err := c.WithDefaults()
	if err != nil {
		return nil, err
	}
	var a asked
	err = torch.Do(ctx, func(*torch.Scope) error {
		store := nn.NewStore(&a, nn.StoreOptions{})
		defer store.Close()
		_, err := diffusioninst.NewNetwork(store.Root(), c)
		return err
	})
	return a.list, err
}
