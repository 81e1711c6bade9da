//go:build cgo

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/diffusioninst/go/picture"
)

// maxDownload is the largest picture that is fetched in bytes, which is also what picture reads.
const maxDownload = 1 << 30

// downloader fetches pictures. A server that does not answer is an error after half a minute, one
// that is slow after ten.
var downloader = &http.Client{
	Timeout: 10 * time.Minute,
	Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   30 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		ForceAttemptHTTP2:     true,
	},
}

// parseAddress returns the address that an argument is, or nil for a path. Addresses of other
// services than the web and S3 are refused.
func parseAddress(arg string) (*url.URL, error) {
	scheme, _, found := strings.Cut(arg, "://")
	if !found || strings.ContainsAny(scheme, `/\.`) {
		return nil, nil
	}
	switch strings.ToLower(scheme) {
	case s3Scheme:
		return parseS3(arg[len("s3://"):])
	case "http", "https":
		u, err := url.Parse(arg)
		if err == nil && u.Host == "" {
			err = errors.New("no host")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: not an address: %w", arg, err)
		}
		return u, nil
	case "gs", "az", "abfs", "hdfs":
		return nil, fmt.Errorf("%s: %s:// is not read: mount the bucket as a folder (rclone mount, gcsfuse), name https:// addresses that are signed, or s3:// ones if the store speaks S3's protocol", arg, scheme)
	}
	return nil, fmt.Errorf("%s: %s:// is not read: name files, https:// or s3:// addresses", arg, scheme)
}

// placeOf returns an absolute path that stands for an address: the host and the path. distinguish tells apart what has the same.
func placeOf(u *url.URL) string { return path.Clean("/" + u.Hostname() + "/" + u.Path) }

// fetched calls open with the picture as a file: itself, or what its address gives. The stamp is that of what was opened.
func (in segmentInput) fetched(ctx context.Context, open func(segmentInput) (*picture.Picture, error)) (p *picture.Picture, stamp string, err error) {
	if in.address == nil {
		stamp = in.stamp(ctx)
		p, err = open(in)
		return p, stamp, err
	}
	file, err := os.CreateTemp("", "diffusioninst-*")
	if err != nil {
		return nil, "", aside(in.address, err)
	}
	defer file.Close()
	local := in
	local.path, local.address = nameless(file), nil
	if local.path == file.Name() {
		defer os.Remove(local.path)
	}
	err = insist(ctx, func() error {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return aside(in.address, err)
		}
		if err := file.Truncate(0); err != nil {
			return aside(in.address, err)
		}
		stamp, err = download(ctx, in.address, file)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	p, err = open(local)
	var e *picture.Error
	if errors.As(err, &e) && e.Path == local.path {
		e.Path = shown(in.address)
	}
	return p, stamp, err
}

// nameless takes the name of an open file away, so that nothing of it stays however the program ends, and returns a path to it
// that holds while it is open. Where the system has no such path the file keeps its name.
func nameless(f *os.File) string {
	path := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	want, err := f.Stat()
	if err != nil {
		return f.Name()
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(want, there) || os.Remove(f.Name()) != nil {
		return f.Name()
	}
	return path
}

// aside returns an error of the file that an address is fetched into, which says nothing about the picture.
func aside(u *url.URL, err error) error {
	return &passingError{fmt.Errorf("%s: to be fetched into a temporary file (TMPDIR): %w", shown(u), err), false}
}

// download copies the content of an address, and returns its stamp.
func download(ctx context.Context, u *url.URL, to io.Writer) (stamp string, err error) {
	body, stamp, err := openAddress(ctx, u)
	if err != nil {
		return "", err
	}
	defer body.Close()
	from := &addressReader{Reader: io.LimitReader(body, maxDownload+1)}
	n, err := io.Copy(to, from)
	switch {
	case from.err != nil:
		return "", &passingError{fmt.Errorf("%s: %w", shown(u), from.err), true}
	case err != nil:
		return "", aside(u, err)
	case n > maxDownload:
		return "", fmt.Errorf("%s: more than %d MiB", shown(u), maxDownload>>20)
	}
	return stamp, nil
}

// An addressReader remembers an error of reading, which io.Copy does not tell from one of writing.
type addressReader struct {
	io.Reader
	err error
}

func (r *addressReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != io.EOF {
		r.err = err
	}
	return n, err
}

// openAddress returns the content of an address, and its stamp.
func openAddress(ctx context.Context, u *url.URL) (io.ReadCloser, string, error) {
	if u.Scheme == s3Scheme {
		return openObject(ctx, u)
	}
	response, err := request(ctx, http.MethodGet, u)
	if err != nil {
		return nil, "", err
	}
	return response.Body, stampOfResponse(response), nil
}

// shown returns an address without what may be secret: passwords and signatures. The key of an object is as it was named.
func shown(u *url.URL) string {
	if u.Scheme == s3Scheme {
		return s3Scheme + "://" + u.Host + u.Path
	}
	public := *u
	public.User, public.RawQuery, public.Fragment = nil, "", ""
	return public.String()
}

// recorded returns an address as the files of a run name it, without anything secret. A sum stands
// for the query, which may tell pictures apart, but for what signs it: an address signed anew is
// the same.
func recorded(u *url.URL) string {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil { // what signs it cannot be told
		return withSum(u, u.RawQuery)
	}
	has := map[string]bool{}
	for name := range query {
		has[strings.ToLower(name)] = true
	}
	signs := map[string]bool{}
	for signature, beside := range signing {
		for _, name := range beside {
			if has[signature] && has[name] {
				signs[signature], signs[name] = true, true
			}
		}
	}
	for name := range query {
		lower := strings.ToLower(name)
		if signs[lower] || slices.ContainsFunc(signingPrefixes, func(p string) bool { return strings.HasPrefix(lower, p) }) {
			query.Del(name)
		}
	}
	if len(query) == 0 {
		return shown(u)
	}
	return withSum(u, query.Encode())
}

// nameSum is how many bytes of a checksum tell addresses apart: with twelve no two of 10^12 are likely to share one.
const nameSum = 12

func withSum(u *url.URL, query string) string {
	sum := sha256.Sum256([]byte(query))
	return shown(u) + "#query-" + hex.EncodeToString(sum[:nameSum])
}

// Parameters by which stores sign addresses. Those of Amazon, Google and others that sign as they do have prefixes. A token, a
// policy or a signature may as well say which picture it is: it is taken for a part of a signature only beside one of the
// parameters that such signatures have.
var (
	signingPrefixes = []string{"x-amz-", "x-goog-", "x-oss-", "x-ms-", "access_token"}
	signing         = map[string][]string{
		// CloudFront and older ones
		"signature": {"expires", "key-pair-id", "policy", "awsaccesskeyid", "googleaccessid", "ossaccesskeyid", "keyname"},
		// content networks
		"token": {"expires"},
		// Azure
		"sig": {"se", "st", "sp", "sv", "sr", "spr", "sip", "ss", "srt", "si", "skoid", "sktid", "skt", "ske", "sks", "skv"},
	}
)

func request(ctx context.Context, method string, u *url.URL) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := downloader.Do(r)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, &passingError{fmt.Errorf("%s: %w", shown(u), err), true}
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	response.Body.Close()
	err = fmt.Errorf("%s: the server says %s", shown(u), response.Status)
	switch code := response.StatusCode; code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		err = &passingError{err, false}
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		err = &passingError{err, true}
	default:
		if code >= 500 {
			err = &passingError{err, true}
		}
	}
	return nil, err
}

// addressStamp identifies the content of an address as its server does, or is empty if the server
// does not.
func addressStamp(ctx context.Context, u *url.URL) string {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if u.Scheme == s3Scheme {
		return objectStamp(ctx, u)
	}
	response, err := request(ctx, http.MethodHead, u)
	if err != nil {
		return ""
	}
	response.Body.Close()
	return stampOfResponse(response)
}

func stampOfResponse(r *http.Response) string {
	return stampOf(r.ContentLength, r.Header.Get("ETag"), r.Header.Get("Last-Modified"))
}

func stampOf(size int64, tag, modified string) string {
	if tag == "" && modified == "" {
		return ""
	}
	return fmt.Sprintf("%d bytes, %s, %s", size, tag, modified)
}
