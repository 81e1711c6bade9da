//go:build unix

package processes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/leak"
	"github.com/diffusioninst/go/internal/proctest"
	"github.com/diffusioninst/go/torch"
)

// asRank turns the test program into one process of a group, which does what the variable names.
const asRank = "DIFFUSIONINST_TEST_RANK"

const timeoutVariable = "DIFFUSIONINST_TEST_TIMEOUT"

func TestMain(m *testing.M) {
	if name := os.Getenv(asRank); name != "" {
		timeout, err := time.ParseDuration(os.Getenv(timeoutVariable))
		if err == nil {
			err = work(name, timeout)
		}
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	leak.Main(m)
}

// roles are what a process of a test does.
var roles = map[string]func(context.Context, *Group) error{
	"operations":   operations,
	"gpus":         func(ctx context.Context, g *Group) error { return addOnGPUs(ctx, g, 1) },
	"gpus forever": func(ctx context.Context, g *Group) error { return addOnGPUs(ctx, g, 1<<40) },
	"forever": func(ctx context.Context, g *Group) error {
		fmt.Println("joined")
		for {
			if _, err := g.Gather(ctx, nil); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	},
	// Rank 1 is busy with something else when another is lost.
	"busy": func(ctx context.Context, g *Group) error {
		fmt.Println("joined")
		if g.Rank() == 1 {
			time.Sleep(6 * time.Second)
		}
		return g.Barrier(ctx)
	},
	"cancel": func(ctx context.Context, g *Group) error {
		if g.Rank() == 1 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
			defer cancel()
		}
		if g.Rank() == 0 {
			<-g.down
		}
		return g.Barrier(ctx)
	},
}

func work(name string, timeout time.Duration) error {
	plan, err := FromEnvironment(os.LookupEnv)
	if err != nil {
		return err
	}
	g, err := Join(context.Background(), plan, Options{Timeout: timeout})
	if err != nil {
		return err
	}
	defer g.Close()
	return roles[name](context.Background(), g)
}

func operations(ctx context.Context, g *Group) error {
	r, n := g.Rank(), g.Size()
	sum := float64(n*(n+1)) / 2
	small := []float32{float32(r + 1), 0.1 * float32(r)}
	large := make([]float64, 3<<20/8)
	for i := range large {
		large[i] = float64(r+1) * float64(i)
	}
	whole := []int64{1 << 40, int64(r)}
	wait := g.Sum(torch.Float64, bytes(large)) // two at once
	if err := errors.Join(AllReduce(ctx, g, small), wait(ctx), AllReduce(ctx, g, whole)); err != nil {
		return err
	}
	if small[0] != float32(sum) || large[1] != sum || large[len(large)-1] != sum*float64(len(large)-1) || whole[0] != int64(n)<<40 {
		return fmt.Errorf("sums are %v, %v … %v, %v", small, large[1], large[len(large)-1], whole)
	}
	for _, length := range []int{0, 5, inline, inline + 1, 5000} {
		got, err := g.Gather(ctx, []byte(strings.Repeat(strconv.Itoa(r), length*r)))
		if err != nil {
			return err
		}
		for k, m := range got {
			if string(m) != strings.Repeat(strconv.Itoa(k), length*k) {
				return fmt.Errorf("rank %d's message of %d bytes is %d long", k, length*k, len(m))
			}
		}
	}
	text := []byte("xxxx")
	if r == n-1 {
		text = []byte("last")
	}
	if err := g.Broadcast(ctx, n-1, text); err != nil || string(text) != "last" {
		return fmt.Errorf("broadcast gives %q: %w", text, err)
	}
	if g.Sum(torch.Float32, make([]byte, 3))(ctx) == nil || g.Sum(torch.Int8, make([]byte, 3))(ctx) == nil || g.Broadcast(ctx, n, text) == nil {
		return errors.New("mistakes are not refused")
	}
	if err := g.Barrier(ctx); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(math.Float32bits(small[1]))
}

// start starts the processes of a group that meet at a store of the test's or, with keep
// false, of rank 0.
func start(t *testing.T, role string, size int, keep bool, timeout time.Duration, more ...string) []*proctest.Child {
	t.Helper()
	if _, err := OpenStore(); errors.Is(err, ErrUnavailable) {
		t.Skip(err)
	}
	s, err := OpenStore()
	require.NoError(t, err)
	t.Cleanup(s.Close)
	var all []*proctest.Child
	port := freePort(t)
	for r := range size {
		env := append(s.Environment(r, size), more...)
		if !keep {
			env = append(env, "TORCHELASTIC_USE_AGENT_STORE=False", "MASTER_PORT="+port)
		}
		all = append(all, proctest.Start(t, child(t, role, timeout, env)))
	}
	return all
}

func child(t *testing.T, role string, timeout time.Duration, env []string) *exec.Cmd {
	cmd := proctest.Command(t, os.Args[0])
	cmd.Env = append(append(os.Environ(), env...), asRank+"="+role, timeoutVariable+"="+timeout.String())
	return cmd
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

func TestOperations(t *testing.T) {
	for _, size := range []int{2, 3} {
		all := start(t, "operations", size, size == 2, time.Minute)
		for _, c := range all {
			require.Zero(t, c.Wait(), c.Output())
		}
		bits := func(output string) string { // beside warnings of c10d about processes that have ended
			return regexp.MustCompile(`(?m)^[0-9]+$`).FindString(output)
		}
		require.NotEmpty(t, bits(all[0].Output()))
		for _, c := range all[1:] {
			require.Equal(t, bits(all[0].Output()), bits(c.Output()), "all ranks are bit-identical")
		}
	}
}

// The others of a process that is killed say which one, however it goes: kept by a launcher or by
// rank 0 itself, and while one of them computes.
func TestLostProcessIsNamed(t *testing.T) {
	for _, c := range []struct {
		role      string
		keep      bool
		lost      int
		survivors []int
	}{
		{"forever", true, 2, []int{0, 1}}, {"forever", true, 0, []int{1, 2}}, {"forever", false, 0, []int{1, 2}}, {"busy", true, 2, []int{0, 1}},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			t.Parallel()
			all := start(t, c.role, 3, c.keep, time.Minute)
			for _, r := range all {
				r.WaitFor(t, "joined")
			}
			all[c.lost].Signal(syscall.SIGKILL)
			for _, r := range c.survivors {
				require.Equal(t, 1, all[r].Wait())
				require.Contains(t, all[r].Output(), fmt.Sprintf("rank %d is lost", c.lost))
			}
		})
	}
}

func TestMissingProcessIsNamed(t *testing.T) {
	all := start(t, "operations", 1, true, time.Second) // alone is not missing anybody
	require.Zero(t, all[0].Wait(), all[0].Output())
	s, err := OpenStore()
	require.NoError(t, err)
	defer s.Close()
	c := proctest.Start(t, child(t, "operations", 1500*time.Millisecond, s.Environment(1, 3)))
	require.Equal(t, 1, c.Wait())
	require.Contains(t, c.Output(), "after 1.5s ranks 0, 2 have not come to the store at 127.0.0.1:")
	twin := proctest.Start(t, child(t, "operations", time.Minute, s.Environment(1, 3)))
	require.Equal(t, 1, twin.Wait())
	require.Contains(t, twin.Output(), "another process is rank 1")

	nobody := proctest.Start(t, child(t, "operations", 3*time.Second, append(s.Environment(1, 3), "MASTER_PORT="+freePort(t))))
	require.Equal(t, 1, nobody.Wait())
	require.Contains(t, nobody.Output(), "nobody keeps the store at 127.0.0.1:")
}

func TestCancelledProcessEndsAll(t *testing.T) {
	all := start(t, "cancel", 3, true, time.Minute)
	for _, c := range all {
		require.Equal(t, 1, c.Wait())
	}
	require.Contains(t, all[1].Output(), "deadline exceeded")
	require.Contains(t, all[0].Output(), "rank 1: gather: context deadline exceeded")
}

func TestJoinRefuses(t *testing.T) {
	g, err := Join(context.Background(), Plan{}, Options{})
	require.NoError(t, err)
	require.Equal(t, 1, g.Size())
	values := []float32{3}
	require.NoError(t, AllReduce(context.Background(), g, values))
	require.Equal(t, []float32{3}, values)
	g.Close()
	_, err = Join(context.Background(), Plan{Size: 2, Rank: 2, LocalSize: 1, Host: "h", Port: 1}, Options{})
	require.ErrorContains(t, err, "rank 2 of 2")
	_, err = Join(context.Background(), Plan{Size: 2, LocalSize: 1, Host: "h", Port: 1}, Options{Timeout: -1})
	require.ErrorContains(t, err, "timeout")
}

func TestOutwardAddress(t *testing.T) {
	loop, far := net.ParseIP("127.0.1.1"), net.ParseIP("192.0.2.7")
	got, err := outward(far, []string{"127.0.0.1", "192.0.2.7"})
	require.NoError(t, err)
	require.Equal(t, far, got)
	got, err = outward(loop, []string{"127.0.1.1", "127.0.0.1"})
	require.NoError(t, err)
	require.Equal(t, loop, got, "all are on one machine")
}
