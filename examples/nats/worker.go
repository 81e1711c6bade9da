package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/picture"
)

// The streams, and the beginnings of their subjects.
const (
	pictures, picturesPrefix = "PICTURES", "pictures."
	results, resultsPrefix   = "FOUND", "found."
)

// consumerName is what all workers share.
const consumerName = "segment"

// once is how long a result is known, so that the one of a picture that was segmented again is not stored twice.
// It is longer than a worker can take between storing a result and acknowledging its picture.
const once = 10 * time.Minute

// tries is how often a picture is segmented at most. JetStream's own bound (MaxDeliver) would leave it in its stream without a result,
// and one whose result cannot be stored yet, too.
const tries = 5

// A worker segments one picture after the other. Others may share its stream.
type worker struct {
	js       jetstream.JetStream
	consumer jetstream.Consumer
	model    *diffusioninst.Model
	classes  []coco.Category
	wait     time.Duration // after which a worker that is silent is taken for lost
}

// A found is the message about a picture: what was found, or why nothing could be.
type found struct {
	Sequence uint64        `json:"sequence"` // of the picture in its stream
	Results  []coco.Result `json:"results"`  // image_id is the sequence, too
	Error    string        `json:"error,omitempty"`
}

// newWorker makes the streams and the consumer that all workers share, unless they are there: what an operator has set stays. A
// picture is kept until it is acknowledged. wait is for a consumer that is made; of one that is there its own holds.
func newWorker(ctx context.Context, connection *nats.Conn, model *diffusioninst.Model, wait time.Duration) (*worker, error) {
	if wait < time.Second {
		return nil, fmt.Errorf("--ack-wait %v: at least 1s is required", wait)
	}
	js, err := jetstream.New(connection)
	if err != nil {
		return nil, err
	}
	for _, s := range []jetstream.StreamConfig{
		{Name: pictures, Subjects: []string{picturesPrefix + ">"}, Retention: jetstream.WorkQueuePolicy},
		{Name: results, Subjects: []string{resultsPrefix + ">"}, Duplicates: once},
	} {
		_, err := js.Stream(ctx, s.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			_, err = js.CreateStream(ctx, s)
		}
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", s.Name, err)
		}
	}
	consumer, err := js.Consumer(ctx, pictures, consumerName)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = js.CreateConsumer(ctx, pictures, jetstream.ConsumerConfig{Durable: consumerName, AckPolicy: jetstream.AckExplicitPolicy, AckWait: wait})
	}
	if err != nil {
		return nil, fmt.Errorf("consumer: %w", err)
	}
	if own := consumer.CachedInfo().Config.AckWait; own != wait {
		log.Printf("the consumer is there, and waits for %v instead of --ack-wait %v", own, wait)
		wait = own
	}
	return &worker{js, consumer, model, evaluation.Categories(model.Config().Classes), wait}, nil
}

// work segments pictures until ctx is done or the connection is closed. The picture that it has then is finished: one that is given
// back has had one of its tries, since JetStream counts each delivery. After an error, which is logged, a picture is left to another
// worker: the server delivers it again after the wait.
func (w *worker) work(ctx context.Context) error {
	for ctx.Err() == nil {
		err := w.next(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		if w.js.Conn().IsClosed() {
			return err
		}
		log.Print(err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// next segments the next picture, if one comes within a second.
func (w *worker) next(ctx context.Context) error {
	m, err := w.consumer.Next(jetstream.FetchMaxWait(time.Second))
	if errors.Is(err, nats.ErrTimeout) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if err := w.busy(m, func() error { return w.segment(ctx, m) }); err != nil {
		return fmt.Errorf("%s: %w", m.Subject(), err)
	}
	return m.DoubleAck(ctx)
}

// busy calls f, and tells the server meanwhile that the picture is being worked on, however long that takes.
func (w *worker) busy(m jetstream.Msg, f func() error) error {
	over := make(chan struct{})
	defer close(over)
	go func() {
		tick := time.NewTicker(w.wait / 3)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				_ = m.InProgress()
			}
		}
	}()
	return f()
}

// segment stores the result of a picture. A picture that is broken, or too large, has one that says so, as has one whose result is
// larger than the server takes: it would be so for each worker. After any other error it is tried again, a few times in all.
func (w *worker) segment(ctx context.Context, m jetstream.Msg) error {
	about, err := m.Metadata()
	if err != nil {
		return err
	}
	out := found{Sequence: about.Sequence.Stream}
	if about.NumDelivered > tries { // not once more: it may be what ends the workers
		out.Error = fmt.Sprintf("given up: %d workers were lost with it, or could not store its result", tries)
	} else if r, lasting, err := w.find(ctx, m.Data()); err == nil {
		out.Results = evaluation.LabeledImage(r, int64(out.Sequence), m.Subject(), w.classes).Results()
	} else if lasting || about.NumDelivered == tries {
		out.Error = err.Error()
	} else {
		return err
	}
	subject := resultsPrefix + strings.TrimPrefix(m.Subject(), picturesPrefix)
	// The number alone is not enough: a stream that is made anew begins with 1 again.
	id := fmt.Sprintf("%d-%d", about.Timestamp.UnixNano(), out.Sequence)
	err = w.store(ctx, subject, id, out)
	if errors.Is(err, nats.ErrMaxPayload) {
		out.Error = fmt.Sprintf("the results of %d instances are larger than the server's max_payload", len(out.Results))
		out.Results = nil
		err = w.store(ctx, subject, id, out)
	}
	return err
}

// find finds what is in a picture. An error that lasts is about the picture.
func (w *worker) find(ctx context.Context, data []byte) (r *diffusioninst.Result, lasting bool, err error) {
	img, err := picture.Decode(bytes.NewReader(data), picture.Options{})
	if err != nil {
		return nil, true, err
	}
	defer img.Close()
	r, err = w.model.Segment(ctx, img, diffusioninst.Options{})
	_, large := errors.AsType[*diffusioninst.LimitError](err)
	_, unfit := errors.AsType[*diffusioninst.ImageError](err)
	return r, large || unfit, err
}

// store stores a result, unless one with its id is there.
func (w *worker) store(ctx context.Context, subject, id string, out found) error {
	if out.Results == nil {
		out.Results = []coco.Result{} // [], not null
	}
	text, err := json.Marshal(out)
	if err != nil {
		return err
	}
	_, err = w.js.Publish(ctx, subject, text, jetstream.WithMsgID(id))
	return err
}
