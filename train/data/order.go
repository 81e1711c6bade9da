package data

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// purpose keeps the random numbers of different uses apart.
type purpose uint64

const (
	forEpoch purpose = iota + 1
	forSample
	forReplacement
	forPaste
)

// random returns the generator of one use of a seed: n counts epochs or samples.
func random(seed uint64, use purpose, n, attempt int64) *rand.Rand {
	var key [32]byte
	for i, v := range []uint64{seed, uint64(use), uint64(n), uint64(attempt)} {
		binary.LittleEndian.PutUint64(key[8*i:], v)
	}
	return rand.New(rand.NewChaCha8(key))
}

// pick is sample number n of a run: a picture of the data set.
type pick struct {
	n     int64
	index int
}

// order is the endless sequence of pictures of a run: epochs, each in its own order, that
// follow each other without a gap.
type order struct {
	seed     uint64
	pictures int
	inOrder  bool
	repeat   []float64 // nil for each picture once per epoch

	next    int64 // number of the next sample
	epoch   int64 // that samples is of, −1 for none
	samples []int // of the epoch
	used    int   // of them
}

func newOrder(pictures int, o LoaderOptions) *order {
	return &order{seed: o.Seed, pictures: pictures, inOrder: o.InOrder, repeat: o.Repeat, epoch: -1}
}

// pick returns the next sample.
func (o *order) pick() pick {
	for o.used == len(o.samples) {
		o.epoch++
		r := random(o.seed, forEpoch, o.epoch, 0)
		o.samples = o.members(r, o.samples[:0])
		o.used = 0
		if !o.inOrder {
			r.Shuffle(len(o.samples), func(i, j int) { o.samples[i], o.samples[j] = o.samples[j], o.samples[i] })
		}
	}
	p := pick{o.next, o.samples[o.used]}
	o.next++
	o.used++
	return p
}

// members appends the pictures of an epoch, each as often as its factor says: the whole
// part of the factor and, with the probability of the rest, once more.
func (o *order) members(r *rand.Rand, to []int) []int {
	for i := range o.pictures {
		times := 1
		if o.repeat != nil {
			whole, rest := math.Modf(o.repeat[i])
			if times = int(whole); r.Float64() < rest {
				times++
			}
		}
		for range times {
			to = append(to, i)
		}
	}
	return to
}

// seek makes sample n the next one.
func (o *order) seek(n int64) {
	*o = order{seed: o.seed, pictures: o.pictures, inOrder: o.inOrder, repeat: o.repeat, epoch: -1, samples: o.samples[:0]}
	if o.repeat == nil { // epochs are equally long
		o.epoch += n / int64(o.pictures)
		o.next = n / int64(o.pictures) * int64(o.pictures)
	} else {
		for {
			size := int64(len(o.members(random(o.seed, forEpoch, o.epoch+1, 0), nil)))
			if o.next+size > n {
				break
			}
			o.next += size
			o.epoch++
		}
	}
	for o.next < n {
		o.pick()
	}
}

// batches puts the samples of an order together.
type batches struct {
	order *order
	size  int
	// wide tells which pictures go with which, by aspect ratio; nil if all go together.
	wide    []bool
	waiting [2][]pick
}

// next returns the next batch.
func (b *batches) next() []pick {
	if b.wide == nil {
		out := make([]pick, b.size)
		for i := range out {
			out[i] = b.order.pick()
		}
		return out
	}
	for {
		p := b.order.pick()
		k := 0
		if b.wide[p.index] {
			k = 1
		}
		b.waiting[k] = append(b.waiting[k], p)
		if out := b.waiting[k]; len(out) == b.size {
			b.waiting[k] = nil
			return out
		}
	}
}

// seek makes batch n the next one.
func (b *batches) seek(n int64) {
	b.waiting = [2][]pick{}
	if b.wide == nil {
		b.order.seek(n * int64(b.size))
		return
	}
	b.order.seek(0)
	for range n {
		b.next()
	}
}

// part returns the i-th of n parts of a batch. The first is not empty.
func part(picks []pick, i, n int) []pick {
	return picks[(i*len(picks)+n-1)/n : ((i+1)*len(picks)+n-1)/n]
}
