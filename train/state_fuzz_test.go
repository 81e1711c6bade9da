package train

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Whatever a file holds, resuming from it takes all of it or is a *StateError.
func FuzzResume(f *testing.F) {
	ctx, path := context.Background(), filepath.Join(f.TempDir(), "state")
	tr, err := New(ctx, small(1), nn.FromSeed(1), torch.CPU, Options{})
	require.NoError(f, err)
	f.Cleanup(tr.Close)
	require.NoError(f, tr.Save(ctx, path, []byte("note")))
	whole, err := os.ReadFile(path)
	require.NoError(f, err)
	header := bytes.IndexByte(whole, '}') + 1
	f.Add(whole[:header], uint32(0))
	f.Add(whole, uint32(40))
	f.Add(whole, uint32(len(whole)))
	f.Fuzz(func(t *testing.T, start []byte, cut uint32) {
		data := bytes.Clone(whole) // the values are a state's, the beginning anything
		copy(data, start)
		data = data[:min(int(cut), len(data))]
		require.NoError(t, os.WriteFile(path, data, 0o600))
		live := torch.Live()
		note, err := tr.Resume(ctx, path)
		require.Equal(t, live, torch.Live())
		if err == nil {
			require.Equal(t, "note", string(note))
			return
		}
		var e *StateError
		require.ErrorAs(t, err, &e)
	})
}
