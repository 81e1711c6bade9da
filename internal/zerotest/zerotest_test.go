package zerotest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

type good struct{ next *good }

func (g *good) Do() error {
	if g == nil {
		return errors.New("nothing")
	}
	return nil
}
func (g *good) Len() int       { return len(fmt.Sprint(g.next)) }
func (g *good) Each(f func())  { f() }
func (g *good) At(i int) int   { return []int{}[i] }
func (g *good) Must()          { panic("said in words") }
func (g *good) Close()         {}
func check(g *good) error      { return g.Do() }
func careless(g *good) error   { _ = g.next; return nil }
func (b *bad) Do() error       { _ = *b.next; return nil }
func (b bad) Len() int         { return len(b.next.words) }
func (n *nilOnly) Close()      { n.words = nil }
func (n *nilOnly) Save() error { n.words = nil; return nil }

type (
	bad     struct{ next *nilOnly }
	nilOnly struct{ words []string }
)

// faults counts the errors that Check reports.
type faults struct {
	testing.TB
	n int
}

func (f *faults) Errorf(string, ...any) { f.n++ }

func TestCheck(t *testing.T) {
	Check(t, new(good), check)
	for _, c := range []struct {
		faults int
		value  any
	}{{1, careless}, {3, new(bad)}, {2, new(nilOnly)}} {
		f := &faults{TB: t}
		Check(f, c.value)
		require.Equal(t, c.faults, f.n, "%T", c.value)
	}
}
