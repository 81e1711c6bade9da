//go:build cgo

package main

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"
)

// objectStore serves a bucket of pictures under the endpoint and the credentials of the environment, and counts the
// objects that are read. It refuses requests that are not signed with the key "public".
func objectStore(t *testing.T, keys ...string) (pictures map[string][]byte, reads *atomic.Int64) {
	backend, pictures, reads := s3mem.New(), map[string][]byte{}, new(atomic.Int64)
	require.NoError(t, backend.CreateBucket("bucket"))
	for i, key := range keys {
		pictures[key] = savePNG(t, filepath.Join(t.TempDir(), "a.png"), uint64(i))
		_, err := backend.PutObject("bucket", key, nil, bytes.NewReader(pictures[key]), int64(len(pictures[key])), nil)
		require.NoError(t, err)
	}
	store := gofakes3.New(backend).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=public/") {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte("<Error><Code>InvalidAccessKeyId</Code><Message>The key does not exist.</Message></Error>"))
			return
		}
		if r.Method == http.MethodGet && !r.URL.Query().Has("list-type") {
			reads.Add(1)
		}
		store.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL_S3", server.URL)
	asS3User(t, "public", "hidden")
	return pictures, reads
}

// asS3User lets the environment hold these credentials and no others.
func asS3User(t *testing.T, key, secret string) {
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
	} {
		t.Setenv(name, value)
	}
	before := objects
	objects = lasting(newObjects)
	t.Cleanup(func() { objects = before })
}

// Objects of S3 are treated as files are: found by key, folder and glob, kept by --resume, and an error of their own if
// they cannot be read.
func TestSegmentS3(t *testing.T) {
	pictures, reads := objectStore(t, "x/a.png", "x/deep/b.png", "x/deep/notes.txt", "x/.hidden.png", "y/c d%20.png", "y/e.png")
	list, out := filepath.Join(t.TempDir(), "list.txt"), t.TempDir()
	lines := []string{"s3://bucket/x/", "s3://bucket/y/c*.png", "s3://bucket/x/a.png", "s3://bucket/y/none*.png", "s3://none/a.png"}
	require.NoError(t, os.WriteFile(list, []byte(strings.Join(lines, "\n")), 0o666))
	_, stderr, err := segment(nil, "--format", "results,labelmap", "--output", out, "--list", list)
	require.EqualError(t, err, "2 of 5 pictures could not be segmented")
	require.Contains(t, stderr, "s3://bucket/y/none*.png: the store says NoSuchKey: ")
	require.Contains(t, stderr, "s3://none/a.png: the store says NoSuchBucket: ")
	require.EqualValues(t, 5, reads.Load())
	for key, place := range map[string]string{"x/a.png": "bucket/x/a.png", "x/deep/b.png": "bucket/x/deep/b.png", "y/c d%20.png": "bucket/y/c d%20.png"} {
		local := filepath.Join(t.TempDir(), "a.png")
		require.NoError(t, os.WriteFile(local, pictures[key], 0o666))
		folder := t.TempDir()
		_, _, err := segment(nil, "--format", "labelmap", "--output", folder, local)
		require.NoError(t, err)
		want, err := os.ReadFile(filepath.Join(folder, "labelmap", "a.png"))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(out, "labelmap", place))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}

	_, _, err = segment(nil, "--format", "results,labelmap", "--output", out, "--resume", "--list", list)
	require.Error(t, err)
	require.EqualValues(t, 7, reads.Load(), "only what failed is read again")
	require.NoError(t, filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		require.NotContains(t, string(text), "hidden", path)
		return err
	}))

	_, _, err = segment(nil, "--format", "labelmap", "--output", out, "s3://bucket/x/")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(out, "labelmap", "deep", "b.png"))
	objectStore(t, "g/img[1].png", "g/img1.png")
	_, _, err = segment(nil, "--format", "labelmap", "--output", out, "s3://bucket/g/img[1].png")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(out, "labelmap", "img[1].png"))
	require.NoFileExists(t, filepath.Join(out, "labelmap", "img1.png"))
	for address, say := range map[string]string{
		"s3://bucket/none/": "s3://bucket/none/: no picture there", "s3://bucket/[.png": "syntax error in pattern", "s3://none/": "NoSuchBucket",
	} {
		_, _, err = segment(nil, "--output", t.TempDir(), address)
		require.ErrorContains(t, err, say)
	}
}

// A bucket that is not there, or whose name is none, is not a fault of one object.
func TestShardOfMissingBucket(t *testing.T) {
	objectStore(t, "a.png")
	list := filepath.Join(t.TempDir(), "list.txt")
	require.NoError(t, os.WriteFile(list, []byte("s3://bucket/a.png\ns3://none/a.png"), 0o666))
	_, _, err := segment(nil, "--format", "results", "--list", list, "--output", t.TempDir(), "--shard", "0/1")
	require.ErrorContains(t, err, "shard 0/1 is not finished: 1 picture failed because of a server, a store")
	require.ErrorContains(t, err, "NoSuchBucket")
}

// Credentials that are missing or wrong are an error that does not show them.
func TestS3Credentials(t *testing.T) {
	objectStore(t, "a.png")
	asS3User(t, "wrong", "hidden")
	_, stderr, err := segment(nil, "--output", t.TempDir(), "s3://bucket/a.png")
	require.Error(t, err)
	require.Contains(t, stderr+err.Error(), "s3://bucket/a.png: the store says InvalidAccessKeyId: The key does not exist.")
	require.NotContains(t, stderr+err.Error(), "hidden")
	asS3User(t, "", "")
	for _, address := range []string{"s3://bucket/a.png", "s3://bucket/"} {
		_, stderr, err = segment(nil, "--output", t.TempDir(), address)
		require.Error(t, err)
		require.Contains(t, stderr+err.Error(), "no credentials for s3://: set AWS_ACCESS_KEY_ID")
	}
}
