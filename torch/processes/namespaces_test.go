//go:build linux

package processes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/proctest"
)

// Two machines, each of which resolves its own name to 127.0.0.1, meet over the link between them.
func TestMachinesWhoseNamesAreLocal(t *testing.T) {
	s, err := OpenStore()
	if err != nil {
		t.Skip(err)
	}
	s.Close()
	ip := func(args ...string) error {
		text, err := exec.Command("ip", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, text)
		}
		return nil
	}
	name := func(i int) string { return fmt.Sprintf("di-%d-%d", os.Getpid(), i) }
	for i := range 2 {
		if err := ip("netns", "add", name(i)); err != nil {
			t.Skipf("needs network namespaces: %v", err)
		}
		t.Cleanup(func() { _ = ip("netns", "del", name(i)) })
	}
	hosts := filepath.Join(t.TempDir(), "hosts")
	require.NoError(t, os.WriteFile(hosts, []byte("127.0.0.1 localhost machine0 machine1\n"), 0o666))
	if err := ip("link", "add", "di0", "netns", name(0), "type", "veth", "peer", "name", "di1", "netns", name(1)); err != nil {
		t.Skipf("needs virtual links: %v", err)
	}
	for i := range 2 {
		require.NoError(t, ip("-n", name(i), "addr", "add", fmt.Sprintf("192.0.2.%d/24", i+1), "dev", fmt.Sprint("di", i)))
		require.NoError(t, ip("-n", name(i), "link", "set", fmt.Sprint("di", i), "up"))
		require.NoError(t, ip("-n", name(i), "link", "set", "lo", "up"))
	}
	var all []*proctest.Child
	for i := range 2 {
		script := fmt.Sprintf("hostname machine%d && mount --bind %s /etc/hosts && exec %q", i, hosts, os.Args[0])
		cmd := proctest.Command(t, "ip", "netns", "exec", name(i), "unshare", "--uts", "--mount", "sh", "-c", script)
		cmd.Env = append(os.Environ(), asRank+"=operations", timeoutVariable+"="+time.Minute.String(),
			"WORLD_SIZE=2", fmt.Sprint("RANK=", i), "MASTER_ADDR=192.0.2.1", "MASTER_PORT=29500")
		all = append(all, proctest.Start(t, cmd))
	}
	for _, c := range all {
		require.Zero(t, c.Wait(), c.Output())
	}
	require.Equal(t, all[0].Output(), all[1].Output())
}
