package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
)

// A Param is a parameter or buffer that a model needs.
type Param struct {
	Name  string
	Shape []int64
}

// A Matching maps a model's parameters to tensors of a file.
type Matching struct {
	Tensors    map[string]*Tensor // by the model's names; the shapes agree
	Mismatched map[string]*Tensor // by the model's names; the name fits but the shape does not
	Unused     []*Tensor          // of no parameter, in file order
	From       *File              // the set of weights that the tensors are of
}

// Match finds the tensor of each parameter by Detectron2's conventions.
//
// The file may hold a whole model, or an ImageNet backbone with the names of
// torchvision (layer1.0.bn1.weight), of Detectron2 (res2.0.conv1.norm.weight), of
// Caffe2 and MSRA (res2_0_branch2a_bn_s) or of the official Swin code. What is before
// the names of a whole set of weights, such as "module.", is dropped as by [File.Weights];
// names are converted to Detectron2's, and each parameter takes the tensor whose name is its own or else the longest suffix of
// it at dots: backbone.bottom_up.res2.0.conv1.weight takes
// res2.0.conv1.weight. Caffe2 files have the statistics of batch norm folded in;
// its running_mean and running_var are then 0 and 1.
//
// Parameters without a tensor are in neither map. A tensor that fits two
// parameters by suffix, or two tensors with one name after conversion, give a
// [*FormatError] with the cause [ErrAmbiguous]. A file does not say the order
// and scale of colours: Caffe2's and MSRA's models expect BGR in 0…255.
func Match(f *File, params []Param) (*Matching, error) {
	f, err := f.fitting(params)
	if err != nil {
		return nil, err
	}
	names, style, err := canonicalNames(f)
	if err != nil {
		return nil, annotate(err, f.path, f.Format, "")
	}
	m := &Matching{Tensors: map[string]*Tensor{}, Mismatched: map[string]*Tensor{}, From: f}
	owner := map[*Tensor]string{}
	for _, p := range params {
		if t, ok := names[p.Name]; ok {
			m.take(p, t)
			owner[t] = p.Name
		}
	}
	for _, p := range params {
		t := longestSuffix(names, p.Name)
		if t == nil || owner[t] == p.Name {
			continue
		}
		other, taken := owner[t]
		if _, exact := names[other]; taken && exact {
			continue // it belongs to the parameter of exactly this name
		}
		if !m.take(p, t) {
			continue
		}
		if taken {
			err := &FormatError{Tensor: t.Name, Reason: fmt.Sprintf("it fits two parameters: %s and %s", other, p.Name), Err: ErrAmbiguous}
			return nil, annotate(err, f.path, f.Format, "")
		}
		owner[t] = p.Name
	}
	m.settle(f.Tensors, owner)
	if style == caffe2 {
		m.addStatistics(params)
	}
	return m, nil
}

// take files a tensor under a parameter and reports whether the shapes agree.
func (m *Matching) take(p Param, t *Tensor) bool {
	if !slices.Equal(p.Shape, t.Shape) {
		m.Mismatched[p.Name] = t
		return false
	}
	m.Tensors[p.Name] = t
	return true
}

// settle forgets mismatches with tensors that went to another parameter, and lists
// the tensors that are left.
func (m *Matching) settle(all []*Tensor, owner map[*Tensor]string) {
	spoken := map[*Tensor]bool{}
	for name, t := range m.Mismatched {
		if o, taken := owner[t]; taken && o != name {
			delete(m.Mismatched, name)
			continue
		}
		spoken[t] = true
	}
	for _, t := range all {
		if _, taken := owner[t]; !taken && !spoken[t] {
			m.Unused = append(m.Unused, t)
		}
	}
}

// canonicalNames returns the tensors of f by Detectron2's names.
func canonicalNames(f *File) (map[string]*Tensor, convention, error) {
	style := conventionOf(func(name string) bool {
		_, ok := f.Tensor(name)
		return ok
	})
	names := make(map[string]*Tensor, len(f.Tensors))
	for _, t := range f.Tensors {
		name := style.rename(t.Name)
		if name == "" {
			continue
		}
		if other, ok := names[name]; ok {
			return nil, style, &FormatError{Tensor: t.Name, Reason: fmt.Sprintf("it becomes %s, like tensor %q", name, other.Name), Err: ErrAmbiguous}
		}
		names[name] = t
	}
	return names, style, nil
}

func longestSuffix(names map[string]*Tensor, name string) *Tensor {
	for {
		if t, ok := names[name]; ok {
			return t
		}
		_, rest, ok := strings.Cut(name, ".")
		if !ok {
			return nil
		}
		name = rest
	}
}

// addStatistics gives the frozen batch norms that found their weight a mean of 0
// and a variance of 1.
func (m *Matching) addStatistics(params []Param) {
	for _, p := range params {
		for suffix, value := range map[string]float32{".norm.running_mean": 0, ".norm.running_var": 1} {
			norm, ok := strings.CutSuffix(p.Name, suffix)
			if !ok || m.Tensors[p.Name] != nil || m.Mismatched[p.Name] != nil {
				continue
			}
			if w := m.Tensors[norm+".norm.weight"]; w != nil && slices.Equal(w.Shape, p.Shape) {
				m.Tensors[p.Name] = constant(p, value)
			}
		}
	}
}

// constant returns a float32 tensor of equal values that is in no file.
func constant(p Param, value float32) *Tensor {
	raw := binary.LittleEndian.AppendUint32(nil, math.Float32bits(value))
	return &Tensor{Name: p.Name, DType: Float32, Shape: p.Shape, view: view{
		store:   &storage{strings.NewReader(string(raw)), 0, int64(len(raw))},
		limit:   1,
		strides: make([]int64, len(p.Shape)),
	}}
}
