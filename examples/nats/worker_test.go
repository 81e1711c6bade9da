package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// serve starts a server of this test.
func serve(t *testing.T, port int, folder string) *server.Server {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: folder, NoSigs: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(time.Minute))
	return s
}

// connect returns a connection to a server of this test.
func connect(t *testing.T) *nats.Conn { return dial(t, serve(t, server.RANDOM_PORT, t.TempDir())) }

func dial(t *testing.T, s *server.Server) *nats.Conn {
	connection, err := nats.Connect(s.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
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

	stop, ended := start(t, w)
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

// start begins to work, and returns what ends it and where its error comes.
func start(t *testing.T, w *worker) (stop func(), ended <-chan error) {
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	err := make(chan error, 1)
	go func() { err <- w.work(ctx) }()
	return stop, err
}

// result waits for the message about a picture.
func result(t *testing.T, js jetstream.JetStream, subject string) (f found) {
	t.Helper()
	require.Eventually(t, func() bool {
		stored, err := js.Stream(t.Context(), results)
		if err != nil {
			return false
		}
		m, err := stored.GetLastMsgForSubject(t.Context(), subject)
		return err == nil && json.Unmarshal(m.Data, &f) == nil
	}, 2*time.Minute, 100*time.Millisecond)
	return f
}

// A picture that no worker can segment, or that ends each worker, is given up after some tries, and the worker goes on.
func TestPicturesThatAreGivenUp(t *testing.T) {
	connection := connect(t)
	model, err := load(t.Context(), "")
	require.NoError(t, err)
	w, err := newWorker(t.Context(), connection, model, time.Second)
	require.NoError(t, err)
	nuclei, err := os.ReadFile("../segment_image/nuclei.png")
	require.NoError(t, err)
	_, err = w.js.Publish(t.Context(), "pictures.fatal", nuclei)
	require.NoError(t, err)
	for range tries {
		_, err := w.consumer.Next(jetstream.FetchMaxWait(time.Minute)) // the worker is lost
		require.NoError(t, err)
	}
	_, err = w.js.Publish(t.Context(), "pictures.hard", nuclei)
	require.NoError(t, err)
	model.Close() // an error that is not the picture's
	stop, ended := start(t, w)
	require.Contains(t, result(t, w.js, "found.fatal").Error, "given up: 5 workers were lost with it")
	require.Contains(t, result(t, w.js, "found.hard").Error, "the model is closed")
	stop()
	require.ErrorIs(t, <-ended, context.Canceled)
}

// A server that is away for a while, or cannot store, does not end a worker. A connection that is closed does.
func TestServerThatIsAway(t *testing.T) {
	folder := t.TempDir()
	s := serve(t, server.RANDOM_PORT, folder)
	connection := dial(t, s)
	model, err := load(t.Context(), "")
	require.NoError(t, err)
	defer model.Close()
	w, err := newWorker(t.Context(), connection, model, 2*time.Second)
	require.NoError(t, err)
	_, ended := start(t, w)
	port := s.Addr().(*net.TCPAddr).Port
	s.Shutdown()
	s.WaitForShutdown()
	select {
	case err := <-ended:
		require.Fail(t, "the worker ended", err)
	case <-time.After(3 * time.Second):
	}
	serve(t, port, folder)
	require.Eventually(t, connection.IsConnected, time.Minute, 10*time.Millisecond)
	_, err = w.js.Publish(t.Context(), "pictures.a", []byte("nothing"))
	require.NoError(t, err)
	require.NotEmpty(t, result(t, w.js, "found.a").Error)

	require.NoError(t, w.js.DeleteStream(t.Context(), results))
	_, err = w.js.Publish(t.Context(), "pictures.b", []byte("nothing"))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		about, err := w.consumer.Info(t.Context())
		return err == nil && about.NumRedelivered > 0
	}, time.Minute, 10*time.Millisecond)
	_, err = newWorker(t.Context(), connection, model, 2*time.Second) // makes the stream
	require.NoError(t, err)
	require.NotEmpty(t, result(t, w.js, "found.b").Error)
	connection.Close()
	require.ErrorIs(t, <-ended, nats.ErrConnectionClosed)
}

func TestAckWait(t *testing.T) {
	for _, wait := range []time.Duration{0, -time.Second, 2} {
		_, err := newWorker(t.Context(), nil, nil, wait)
		require.ErrorContains(t, err, "at least 1s is required")
	}
}

// What an operator has set of streams and of the consumer stays.
func TestSettingsOfOperators(t *testing.T) {
	connection := connect(t)
	model, err := load(t.Context(), "")
	require.NoError(t, err)
	defer model.Close()
	w, err := newWorker(t.Context(), connection, model, 2*time.Second)
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, w.wait)
	of := func(name string) jetstream.StreamConfig {
		s, err := w.js.Stream(t.Context(), name)
		require.NoError(t, err)
		return s.CachedInfo().Config
	}
	want := map[string]jetstream.StreamConfig{}
	for _, name := range []string{pictures, results} {
		config := of(name)
		config.MaxBytes, config.MaxAge = 1<<30, 48*time.Hour
		_, err := w.js.UpdateStream(t.Context(), config)
		require.NoError(t, err)
		want[name] = of(name)
	}
	consumer := w.consumer.CachedInfo().Config
	consumer.AckWait, consumer.MaxAckPending = 7*time.Second, 12
	_, err = w.js.UpdateConsumer(t.Context(), pictures, consumer)
	require.NoError(t, err)

	w, err = newWorker(t.Context(), connection, model, 2*time.Second)
	require.NoError(t, err)
	for name, config := range want {
		require.Equal(t, config, of(name))
	}
	require.Equal(t, 12, w.consumer.CachedInfo().Config.MaxAckPending)
	require.Equal(t, 7*time.Second, w.wait)
}

// A picture of a stream that is made anew has its result, though its number is that of one before.
func TestStreamThatIsMadeAnew(t *testing.T) {
	connection := connect(t)
	model, err := load(t.Context(), "")
	require.NoError(t, err)
	defer model.Close()
	for _, name := range []string{"a", "b"} {
		w, err := newWorker(t.Context(), connection, model, time.Minute)
		require.NoError(t, err)
		_, err = w.js.Publish(t.Context(), picturesPrefix+name, []byte("nothing"))
		require.NoError(t, err)
		require.NoError(t, w.next(t.Context()))
		stored, err := w.js.Stream(t.Context(), results)
		require.NoError(t, err)
		_, err = stored.GetLastMsgForSubject(t.Context(), resultsPrefix+name)
		require.NoError(t, err)
		require.NoError(t, w.js.DeleteStream(t.Context(), pictures))
	}
}

// A worker that is told to stop finishes its picture, which would have one try less otherwise.
func TestStopFinishesThePicture(t *testing.T) {
	connection := connect(t)
	model, err := load(t.Context(), "")
	require.NoError(t, err)
	defer model.Close()
	w, err := newWorker(t.Context(), connection, model, time.Minute)
	require.NoError(t, err)
	nuclei, err := os.ReadFile("../segment_image/nuclei.png")
	require.NoError(t, err)
	_, err = w.js.Publish(t.Context(), "pictures.a", nuclei)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.NoError(t, w.next(ctx))
	stored, err := w.js.Stream(t.Context(), results)
	require.NoError(t, err)
	m, err := stored.GetLastMsgForSubject(t.Context(), "found.a")
	require.NoError(t, err)
	require.Contains(t, string(m.Data), `"image_id":1`)
	require.ErrorIs(t, w.work(ctx), context.Canceled)
}
