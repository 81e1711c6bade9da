//go:build cgo

package main

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseAddress(t *testing.T) {
	for arg, want := range map[string]string{
		"a.png": "", "/data/a.png": "", "./s3://a": "", "data/x://y": "", `C:\a.png`: "",
		"https://h/a.png": "https://h/a.png", "HTTP://h:80/a%20b.png?x=1": "http://h:80/a%20b.png?x=1",
		"https:///a.png": "!no host", "https://[": "!not an address",
		"s3://bucket/a b%20?#*.png": "s3://bucket/a b%20?#*.png", "S3://bucket": "s3://bucket/", "s3://no": "!not the name of a bucket", "s3:///a": "!not the name of a bucket",
		"gs://b/a": "!mount the bucket", "s3://key:secret@bucket/a.png": "!no credentials in it", "ftp://h/a.png": "!ftp:// is not read", "file:///a": "!file:// is not read",
	} {
		u, err := parseAddress(arg)
		if say, fails := strings.CutPrefix(want, "!"); fails {
			require.ErrorContains(t, err, say, arg)
			require.NotContains(t, err.Error(), "secret")
			continue
		}
		require.NoError(t, err, arg)
		if want == "" {
			require.Nil(t, u, arg)
		} else {
			got := u.String()
			if u.Scheme == s3Scheme {
				got = shown(u)
			}
			require.Equal(t, want, got)
		}
	}
}

// Files of a run name addresses without secrets: an address that is signed anew has the same name, that of another
// picture another one.
func TestRecordedAddresses(t *testing.T) {
	record := func(text string) string {
		u, err := url.Parse(text)
		require.NoError(t, err)
		return recorded(u)
	}
	plain := "https://h/a.png"
	for _, query := range []string{
		"", "?X-Amz-Signature=s&X-Amz-Credential=c&X-Amz-Expires=60", "?AWSAccessKeyId=k&Signature=s&Expires=9", "?X-Goog-Signature=s",
		"?sv=2024&se=2027&sr=b&sp=r&sig=s", "?Policy=p&Signature=s&Key-Pair-Id=k", "?Expires=1&OSSAccessKeyId=k&Signature=s", "?token=s&expires=1", "?access_token=s", "?expires=1&signature=s", "#part",
	} {
		require.Equal(t, plain, record(plain+query), query)
	}
	require.Equal(t, plain, record("https://user:pass@h/a.png"))
	one, two := record(plain+"?id=1&x-amz-date=1"), record(plain+"?id=2")
	require.NotEqual(t, one, two)
	require.Equal(t, one, record(plain+"?X-Amz-Date=2&id=1"))
	for _, name := range []string{"sp", "sig", "token", "policy", "expires", "signature", "Key-Pair-Id"} {
		require.NotEqual(t, record(plain+"?"+name+"=1"), record(plain+"?"+name+"=2"), "alone it is no signature")
		require.NotEqual(t, record(plain+"?X-Amz-Signature=s&"+name+"=1"), record(plain+"?X-Amz-Signature=s&"+name+"=2"))
	}
	require.NotContains(t, record(plain+"?key=secret"), "secret")
}

// Pictures of addresses are treated as files are: found, measured, named, kept by --resume while the
// server says that they are the same, and an error of their own if the server has none. What
// signs an address is not shown.
func TestSegmentAddresses(t *testing.T) {
	folder := t.TempDir()
	for i, name := range []string{"x/a.png", "y/a.png", "y/b.png"} {
		savePNG(t, filepath.Join(folder, name), uint64(i))
	}
	var reads atomic.Int64
	files := http.FileServer(http.Dir(folder))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			reads.Add(1)
		}
		if r.URL.Path == "/broken.png" {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("half"))
			return
		}
		files.ServeHTTP(w, r)
	}))
	defer server.Close()
	withoutPauses(t)
	var lines []string
	for _, name := range []string{"x/a.png?expires=1&signature=secret", "y/a.png", "y/b.png", "y/none.png?expires=1&signature=secret", "broken.png?expires=1&signature=secret"} {
		lines = append(lines, server.URL+"/"+name)
	}
	list := filepath.Join(folder, "list.txt")
	require.NoError(t, os.WriteFile(list, []byte(strings.Join(lines, "\n")), 0o666))
	out, local := t.TempDir(), t.TempDir()
	formats := "--format=results,measurements,labelmap"
	_, stderr, err := segment(nil, formats, "--output", out, "--list", list)
	require.EqualError(t, err, "2 of 5 pictures could not be segmented")
	require.Contains(t, stderr, "/y/none.png: the server says 404 Not Found")
	require.Contains(t, stderr, "/broken.png: unexpected EOF")
	require.NotContains(t, stderr, "secret")
	require.EqualValues(t, 7, reads.Load(), "what breaks off is tried three times")

	_, _, err = segment(nil, formats, "--output", local, filepath.Join(folder, "x", "a.png"))
	require.NoError(t, err)
	for _, name := range []string{"labelmap/%/a.png", "measurements/%/a.csv"} {
		want, err := os.ReadFile(filepath.Join(local, strings.Replace(name, "%/", "", 1)))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(out, strings.Replace(name, "%", "x", 1)))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}

	_, _, err = segment(nil, "--format=results,labelmap", "--output", out, "--resume", "--list", list)
	require.Error(t, err)
	require.EqualValues(t, 11, reads.Load(), "only what failed is read again")

	require.NoError(t, os.WriteFile(list, []byte(strings.ReplaceAll(strings.Join(lines, "\n"), "secret", "hidden")), 0o666))
	_, _, err = segment(nil, "--format=results,labelmap", "--output", out, "--resume", "--list", list)
	require.Error(t, err)
	require.EqualValues(t, 15, reads.Load(), "an address signed anew is the same")
	require.NoError(t, filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		require.NotContains(t, string(text), "secret", path)
		require.NotContains(t, string(text), "hidden", path)
		return err
	}))

	stdout, _, err := segment(nil, "--output", t.TempDir(), server.URL+"/x/a.png")
	require.NoError(t, err)
	require.Contains(t, stdout, "results written to")
	_, _, err = segment(nil, "--output", t.TempDir(), "--page", "all", server.URL+"/x/a.png")
	require.ErrorContains(t, err, "--page all needs files")
	_, _, err = segment(nil, "--output", t.TempDir(), "gs://bucket/a.png")
	require.ErrorContains(t, err, "mount the bucket")
}
