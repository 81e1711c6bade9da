package serve

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A form ends with its body, not with its last line: a client that does not end it is slow, and one that leaves is missed.
func TestFormsEndWithTheirBody(t *testing.T) {
	s := newServer(t, Options{Segment: everything, ReadTimeout: 300 * time.Millisecond})
	server := httptest.NewServer(s)
	defer server.Close()
	body, kind := form(t, [2]string{"image", string(somePNG(t, 40, 40))})
	for name, c := range map[string]struct {
		end    string
		status int
	}{"whole": {"0\r\n\r\n", http.StatusOK}, "without an end": {"", http.StatusRequestTimeout}, "with more": {"5\r\nabcde\r\n0\r\n\r\n", http.StatusOK}} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "POST /v1/segment HTTP/1.1\r\nHost: x\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%s", kind, body.Len(), body, c.end)
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, name)
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err, name)
		require.Equal(t, c.status, answer.StatusCode, "%s: %s", name, text)
		require.NoError(t, conn.Close())
	}
}
