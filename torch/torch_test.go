package torch

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func ExampleDo() {
	err := Do(context.Background(), func(s *Scope) error {
		a := From(s, []float32{1, 2, 3, 4}, 2, 2)
		fmt.Println(a.Matmul(a).Sum().Item())
		return nil
	})
	fmt.Println(err)
	// Output:
	// 54
	// <nil>
}

func ExampleError() {
	err := Do(context.Background(), func(s *Scope) error {
		s.Zeros(F32(CPU), 2, 3).Matmul(s.Zeros(F32(CPU), 2, 3))
		return nil
	})
	var e *Error
	fmt.Println(errors.As(err, &e), e.Op, e.Shapes)
	// Output: true matmul [float32[2 3] float32[2 3]]
}

func TestDataRoundTrip(t *testing.T) {
	inDo(t, func(s *Scope) {
		want := []float32{1.5, -2, 3, 4, 5, 6}
		a := From(s, want, 2, 3)
		require.Equal(t, []int{2, 3}, a.Shape())
		require.Equal(t, want, Values[float32](a))
		require.Equal(t, []int64{1, -2, 3, 4, 5, 6}, Values[int64](a))
		require.Equal(t, []float32{1.5, 4, -2, 5, 3, 6}, Values[float32](a.Transpose(0, 1)))
		require.Equal(t, want, Values[float32](s.FromBytes(a.Bytes(), Float32, CPU, 3, 2)))
		require.Equal(t, "float32[2 3] cpu", a.String())
	})
}

func TestFromRefusesAWrongShape(t *testing.T) {
	err := Do(context.Background(), func(s *Scope) error {
		From(s, []float32{1, 2, 3}, 2, 2)
		return nil
	})
	require.ErrorContains(t, err, "16 bytes but the data has 12")
}

func TestReleaseKeepsWhatIsAskedFor(t *testing.T) {
	inDo(t, func(s *Scope) {
		a := s.Full(2, F32(CPU), 3)
		before := Live()
		m := s.Mark()
		b := a.Add(a)
		c := b.Mul(b)
		d := c.Add(a)
		s.Release(m, c, d)
		require.Equal(t, before+2, Live())
		require.Equal(t, 48.0, c.Sum().Item())
		require.Panics(t, func() { b.Sum() })
		d.Close()
		d.Close()
		require.Equal(t, 48.0, c.Sum().Item())
	})
}

func TestKeepOutlivesTheScope(t *testing.T) {
	before := Live()
	var kept *Tensor
	require.NoError(t, Do(context.Background(), func(s *Scope) error {
		kept = s.Full(7, F32(CPU), 2).AddScalar(1).Keep()
		return nil
	}))
	require.Equal(t, before+1, Live())
	require.NoError(t, Do(context.Background(), func(s *Scope) error {
		x := s.Full(1, F32(CPU), 2)
		require.Same(t, s, kept.Add(x).Scope(), "a result belongs to the first scope among the arguments")
		require.Equal(t, 18.0, kept.Add(x).Sum().Item())
		return nil
	}))
	kept.Close()
	require.Equal(t, before, Live())
}

func TestForgottenTensorsAreCollected(t *testing.T) {
	before := Live()
	require.NoError(t, Do(context.Background(), func(s *Scope) error {
		for range 100 {
			s.Zeros(F32(CPU), 10).Keep()
		}
		return nil
	}))
	require.Eventually(t, func() bool {
		runtime.GC()
		return Live() == before
	}, 10*time.Second, 10*time.Millisecond)
}

func TestDoCarriesPanicsAndErrors(t *testing.T) {
	ctx := context.Background()
	boom := errors.New("boom")
	require.ErrorIs(t, Do(ctx, func(*Scope) error { return boom }), boom)
	require.PanicsWithValue(t, "other", func() { _ = Do(ctx, func(*Scope) error { panic("other") }) })
	require.NoError(t, Do(ctx, func(*Scope) error { return nil }), "the worker lives on")
	ended := make(chan bool, 1)
	go func() {
		defer func() { ended <- true }()
		_ = Do(ctx, func(*Scope) error { runtime.Goexit(); return nil })
		ended <- false
	}()
	require.True(t, <-ended, "Goexit ends the caller")
	require.NoError(t, Do(ctx, func(*Scope) error { return nil }), "the worker was replaced")
	var nothing *Tensor
	require.ErrorContains(t, Do(ctx, func(*Scope) error { nothing.Shape(); return nil }), "nil")
}

func TestDoCanBeCancelledWhileItWaits(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	block, started := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = Do(context.Background(), func(*Scope) error { close(started); <-block; return nil })
	})
	<-started
	wg.Go(func() { time.Sleep(10 * time.Millisecond); cancel() })
	require.ErrorIs(t, Do(ctx, func(*Scope) error { return nil }), context.Canceled)
	close(block)
	wg.Wait()
}

func TestGeneratorsAreSeededAndResume(t *testing.T) {
	inDo(t, func(s *Scope) {
		a, b := NewGenerator(5), NewGenerator(5)
		require.Equal(t, Values[float32](s.Randn(a, Float32, 20)), Values[float32](s.Randn(b, Float32, 20)))
		state := a.State()
		want := Values[int64](s.Randint(a, 0, 1000, 20))
		a.SetState(state)
		require.Equal(t, want, Values[int64](s.Randint(a, 0, 1000, 20)))
		require.ElementsMatch(t, []int64{0, 1, 2, 3}, Values[int64](s.Randperm(a, 4)))
		require.Equal(t, []int64{1}, Values[int64](s.Multinomial(a, From(s, []float32{0, 3, 0}), 1)))
	})
}

func TestGradients(t *testing.T) {
	inDo(t, func(s *Scope) {
		x := From(s, []float32{1, 2, 3}).SetRequiresGrad(true)
		require.False(t, x.Mul(x).RequiresGrad(), "gradients are off by default")
		require.Nil(t, x.Grad(s))
		WithGrad(func() {
			x.Mul(x).Sum().Backward()
			NoGrad(func() { require.False(t, x.Mul(x).RequiresGrad()) })
		})
		require.Equal(t, []float32{2, 4, 6}, Values[float32](x.Grad(s)))
		x.ClearGrad()
		require.Nil(t, x.Grad(s))
	})
}

func TestParseDevice(t *testing.T) {
	for name, want := range map[string]Device{"cpu": CPU, " CPU ": CPU} {
		d, err := ParseDevice(name)
		require.NoError(t, err)
		require.Equal(t, want, d)
	}
	for _, name := range []string{"", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:1"} {
		_, err := ParseDevice(name)
		require.ErrorContains(t, err, "device", name)
	}
	_, err := ParseDevice("cuda:99")
	var missing *DeviceError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, "cuda:99", missing.Device.String())
}

func BenchmarkOperatorOverhead(b *testing.B) {
	_ = Do(context.Background(), func(s *Scope) error {
		x := s.Zeros(F32(CPU), 1)
		for b.Loop() {
			m := s.Mark()
			x.Add(x)
			s.Release(m)
		}
		return nil
	})
}

// More memory than there can be is recognised, which LibTorch says in other words than a GPU's.
func TestOutOfMemoryOfTheHost(t *testing.T) {
	err := Do(context.Background(), func(s *Scope) error { s.Empty(F32(CPU), 1<<50); return nil })
	require.ErrorIs(t, err, ErrOutOfMemory)
}
