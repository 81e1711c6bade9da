package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// connect returns a connection to a server of this test.
func connect(t *testing.T) *nats.Conn {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(time.Minute))
	connection, err := nats.Connect(s.ClientURL())
	require.NoError(t, err)
	t.Cleanup(connection.Close)
	return connection
}

// Each picture has one result, though workers are lost before and after they have stored it. A broken picture says so.
func TestWorkersThatAreLost(t *testing.T) {
	connection := connect(t)
	model, err := load(t.Context(), "")
	require.NoError(t, err)
	defer model.Close()
	w, err := newWorker(t.Context(), connection, model, 2*time.Second)
	require.NoError(t, err)
	nuclei, err := os.ReadFile("../segment_image/nuclei.png")
	require.NoError(t, err)
	for i, data := range [][]byte{nuclei, nuclei, []byte("nothing"), nuclei} {
		_, err := w.js.Publish(t.Context(), fmt.Sprintf("pictures.plate.%d", i+1), data)
		require.NoError(t, err)
	}

	_, err = w.consumer.Next() // lost before it has segmented it
	require.NoError(t, err)
	m, err := w.consumer.Next() // lost before it has acknowledged it
	require.NoError(t, err)
	require.NoError(t, w.segment(t.Context(), m))

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.work(ctx) }()
	queue, err := w.js.Stream(t.Context(), pictures)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := queue.Info(t.Context())
		return err == nil && info.State.Msgs == 0
	}, 5*time.Minute, 100*time.Millisecond)
	stop()
	require.ErrorIs(t, <-ended, context.Canceled)

	stored, err := w.js.Stream(t.Context(), results)
	require.NoError(t, err)
	info, err := stored.Info(t.Context(), jetstream.WithSubjectFilter(resultsPrefix+">"))
	require.NoError(t, err)
	require.EqualValues(t, 4, info.State.Msgs)
	type message struct {
		Sequence uint64
		Error    string
		Results  []struct {
			ImageID uint64 `json:"image_id"`
		}
	}
	var first message
	for i := range uint64(4) {
		m, err := stored.GetLastMsgForSubject(t.Context(), fmt.Sprintf("found.plate.%d", i+1))
		require.NoError(t, err)
		var got message
		require.NoError(t, json.Unmarshal(m.Data, &got))
		require.Equal(t, i+1, got.Sequence)
		if i == 2 {
			require.NotEmpty(t, got.Error)
			continue
		}
		require.Empty(t, got.Error)
		require.NotEmpty(t, got.Results)
		require.Equal(t, i+1, got.Results[0].ImageID)
		if first.Results == nil {
			first = got
		}
		require.Len(t, got.Results, len(first.Results))
	}
}
