package serve

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/leak"
	"github.com/diffusioninst/go/torch"
)

const soakClients = 16

// TestSoak sends requests through every way in over loopback, some of which leave in the middle or are
// wrong, and then as many things are open as after the first round. The answers of a picture are
// identical to the byte. DIFFUSIONINST_SOAK_CALLS sets another number of requests than 400 and
// DIFFUSIONINST_SOAK_CSV names a file for what was open after each round:
//
//	DIFFUSIONINST_SOAK_CALLS=1000000 DIFFUSIONINST_SOAK_CSV=soak.csv go test -timeout 0 -run TestSoak -v ./serve
func TestSoak(t *testing.T) {
	calls := 400
	if text := os.Getenv("DIFFUSIONINST_SOAK_CALLS"); text != "" {
		var err error
		calls, err = strconv.Atoi(text)
		require.NoError(t, err, "DIFFUSIONINST_SOAK_CALLS")
	}
	s := newServer(t, Options{Segment: diffusioninst.Options{Score: -1, Steps: 1, Limit: 1}, PerClient: -1})
	k := &soak{address: "http://" + listening(t, s), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: soakClients}}}
	for _, side := range []int{32, 40, 56} {
		k.pictures = append(k.pictures, somePNG(t, side, 32))
	}
	k.want = make([][]byte, len(k.pictures)*len(ways))
	for i := range k.want {
		status, body, err := k.ask(context.Background(), i)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status, string(body))
		k.want[i] = body
	}
	watch := leak.NewWatch(t, os.Getenv("DIFFUSIONINST_SOAK_CSV"))
	rounds := min(max(calls/1000, 4), 200)
	for i := range rounds {
		to := calls * (i + 1) / rounds
		k.round(t, calls*i/rounds, to)
		k.client.CloseIdleConnections()
		eventually(t, func() bool {
			_, running := s.scheduler.load()
			return running == 0 && s.admission.count() == 0
		})
		time.Sleep(100 * time.Millisecond) // connections end in goroutines of package http
		watch.Round(to, torch.Live())
	}
	watch.Flat()
}

// A soak sends requests to a server and knows the right answers.
type soak struct {
	address  string
	client   *http.Client
	pictures [][]byte
	want     [][]byte // by picture and way
}

// ways make the requests for a picture.
var ways = []func(address string, data []byte) (*http.Request, error){
	func(address string, data []byte) (*http.Request, error) {
		return http.NewRequest("POST", address+"/v1/segment", bytes.NewReader(data))
	},
	func(address string, data []byte) (*http.Request, error) {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		part, err := form.CreateFormFile("image", "../x.png")
		if err != nil {
			return nil, err
		}
		_, _ = part.Write(data)
		_ = form.Close()
		r, err := http.NewRequest("POST", address+"/v1/segment?output=labels", &body)
		if err == nil {
			r.Header.Set("Content-Type", form.FormDataContentType())
		}
		return r, err
	},
	func(address string, data []byte) (*http.Request, error) {
		return http.NewRequest("POST", address+"/v2/models/tiny/infer", strings.NewReader(fmt.Sprintf(
			`{"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [%q]}]}`, base64.StdEncoding.EncodeToString(data))))
	},
	func(address string, data []byte) (*http.Request, error) {
		return http.NewRequest("POST", address+"/v1/segment/stream?mask=none", bytes.NewReader(data))
	},
}

func (k *soak) ask(ctx context.Context, i int) (status int, body []byte, err error) {
	r, err := ways[i/len(k.pictures)%len(ways)](k.address, k.pictures[i%len(k.pictures)])
	if err != nil {
		return 0, nil, err
	}
	return k.do(r.WithContext(ctx))
}

func (k *soak) do(r *http.Request) (status int, body []byte, err error) {
	answer, err := k.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	return answer.StatusCode, body, err
}

// round sends requests from … to-1 from several goroutines, and waits for them.
func (k *soak) round(t *testing.T, from, to int) {
	numbers := make(chan int)
	var all sync.WaitGroup
	for range soakClients {
		all.Go(func() {
			for i := range numbers {
				if err := k.call(i); err != nil {
					t.Errorf("request %d: %v", i, err)
				}
			}
		})
	}
	for i := from; i < to && !t.Failed(); i++ {
		numbers <- i
	}
	close(numbers)
	all.Wait()
	require.False(t, t.Failed())
}

// call sends a request: of 100, one leaves in the middle, one has half a picture, one a wrong option.
func (k *soak) call(i int) error {
	which := i % len(k.want)
	picture := k.pictures[which%len(k.pictures)]
	switch i % 100 {
	case 1:
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i/100%20)*time.Millisecond)
		defer cancel()
		if status, _, err := k.ask(ctx, which); err != nil && !errors.Is(err, context.DeadlineExceeded) || err == nil && status != http.StatusOK {
			return fmt.Errorf("leaving: status %d, %v", status, err)
		}
		return nil
	case 2:
		return k.refused("/v1/segment", picture[:len(picture)/2], http.StatusUnprocessableEntity)
	case 3:
		return k.refused("/v1/segment?steps=-1", picture, http.StatusBadRequest)
	}
	status, body, err := k.ask(context.Background(), which)
	switch {
	case err != nil:
		return err
	case status != http.StatusOK || !bytes.Equal(body, k.want[which]):
		return fmt.Errorf("status %d, another answer to the same picture: %.200s", status, body)
	}
	return nil
}

func (k *soak) refused(path string, data []byte, want int) error {
	r, err := http.NewRequest("POST", k.address+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	status, body, err := k.do(r)
	if err == nil && status != want {
		err = fmt.Errorf("status %d, not %d: %.200s", status, want, body)
	}
	return err
}
