package fakecuda

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// unused is the age at which a folder of kept is removed.
const unused = 30 * 24 * time.Hour

// kept returns the folder for a key in the user's cache folder, after fill has filled it if no test program has
// done so before. Test programs that want it at once wait for the one that fills it. If the user has no cache
// folder, the test has a folder of its own.
func kept(t testing.TB, key []string, fill func(dir string)) string {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.UserCacheDir()
	if err != nil {
		dir := t.TempDir()
		fill(dir)
		return dir
	}
	root = filepath.Join(root, "diffusioninst", "tests")
	must(os.MkdirAll(root, 0o700))
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", key))
	dir := filepath.Join(root, hex.EncodeToString(sum[:8]))
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	must(err)
	defer lock.Close() // which unlocks it
	for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
	}
	must(err)
	whole, now := filepath.Join(dir, "whole"), time.Now() // the file that says that the folder is
	if os.Chtimes(whole, now, now) == nil {
		return dir
	}
	removeUnused(root, now.Add(-unused))
	must(os.RemoveAll(dir)) // of a program that was killed
	must(os.Mkdir(dir, 0o700))
	fill(dir)
	must(os.WriteFile(whole, nil, 0o600))
	return dir
}

// removeUnused removes the folders of kept that no program has asked for since a time. What it cannot remove stays.
func removeUnused(root string, since time.Time) {
	all, _ := filepath.Glob(filepath.Join(root, "*", "whole"))
	for _, whole := range all {
		if info, err := os.Stat(whole); err == nil && info.ModTime().Before(since) {
			_ = os.RemoveAll(filepath.Dir(whole))
		}
	}
}
