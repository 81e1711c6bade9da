//go:build cgo

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/diffusioninst/go/picture"
)

// s3Scheme begins the addresses of objects in Amazon S3, and in stores that speak its protocol.
const s3Scheme = "s3"

// objects returns the client for s3:// addresses, which is made when the first is met. Credentials, region and
// endpoint come from where the AWS tools take them: AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL_S3,
// ~/.aws, the machine's or the pod's role.
var objects = lasting(newObjects)

func newObjects() (*s3.Client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := awshttp.NewBuildableClient().WithTimeout(downloader.Timeout).WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = 30 * time.Second
	})
	settings, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(client))
	if err != nil {
		return nil, &passingError{fmt.Errorf("settings for s3://: %w", err), false}
	}
	if _, err := settings.Credentials.Retrieve(ctx); err != nil {
		return nil, &passingError{fmt.Errorf("no credentials for s3://: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, as for the AWS tools; an object that anyone may read has an https:// address: %w", err), false}
	}
	settings.Region = cmp.Or(settings.Region, "us-east-1") // as the AWS tools have it for S3
	return s3.NewFromConfig(settings, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil // other stores have no host for each bucket
		o.DisableLogOutputChecksumValidationSkipped = true
	}), nil
}

var bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$`)

// parseS3 returns the address of an object: the bucket as its host, and the key, taken literally, behind the slash of its path.
func parseS3(text string) (*url.URL, error) {
	bucket, key, _ := strings.Cut(text, "/")
	if strings.Contains(bucket, "@") {
		return nil, errors.New("s3://: an address has no credentials in it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
	}
	if !bucketName.MatchString(bucket) {
		return nil, fmt.Errorf("s3://%s: %q is not the name of a bucket", text, bucket)
	}
	return objectAddress(bucket, key), nil
}

func objectAddress(bucket, key string) *url.URL {
	return &url.URL{Scheme: s3Scheme, Host: bucket, Path: "/" + key}
}

func objectKey(u *url.URL) (bucket, key *string) {
	return aws.String(u.Host), aws.String(strings.TrimPrefix(u.Path, "/"))
}

// errNothingThere is the error of an s3:// folder or glob that names no picture.
var errNothingThere = errors.New("no picture there")

// findAddresses returns the pictures that an address names: of a folder or glob of S3 all in it, otherwise itself.
func findAddresses(ctx context.Context, u *url.URL) ([]*url.URL, error) {
	if u.Scheme != s3Scheme {
		return []*url.URL{u}, nil
	}
	found, err := findObjects(ctx, u)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%s: %w", shown(u), errNothingThere)
	}
	return found, err
}

// findObjects returns the objects that an address names, in the order of their keys: itself, the pictures below it if
// it ends with a slash or has no key, or what a glob matches, which may be nothing. An object whose key is that of a glob is itself.
func findObjects(ctx context.Context, u *url.URL) ([]*url.URL, error) {
	bucket, key := objectKey(u)
	prefix, glob := *key, false
	if i := strings.IndexAny(*key, "*?["); i >= 0 {
		if _, err := path.Match(*key, ""); err != nil {
			return nil, fmt.Errorf("%s: %w", shown(u), err)
		}
		prefix, glob = (*key)[:i], true
	} else if *key != "" && !strings.HasSuffix(*key, "/") {
		return []*url.URL{u}, nil
	}
	client, err := objects()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown(u), err)
	}
	var out []*url.URL
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, objectError(u, err)
		}
		for _, o := range page.Contents {
			name := aws.ToString(o.Key)
			if glob {
				if name == *key {
					return []*url.URL{u}, nil
				}
				if match, _ := path.Match(*key, name); match && !strings.HasSuffix(name, "/") {
					out = append(out, objectAddress(*bucket, name))
				}
			} else if pictureBelow(strings.TrimPrefix(name, prefix)) {
				out = append(out, objectAddress(*bucket, name))
			}
		}
	}
	return out, nil
}

// pictureBelow reports whether a path below a folder is one of a picture, as picture.Find has it.
func pictureBelow(name string) bool {
	hidden := func(part string) bool { return strings.HasPrefix(part, ".") }
	return slices.Contains(picture.Extensions(), strings.ToLower(path.Ext(name))) && !slices.ContainsFunc(strings.Split(name, "/"), hidden)
}

// openObject returns the content of an object, and its stamp.
func openObject(ctx context.Context, u *url.URL) (io.ReadCloser, string, error) {
	client, err := objects()
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", shown(u), err)
	}
	bucket, key := objectKey(u)
	object, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		return nil, "", objectError(u, err)
	}
	return object.Body, stampOfObject(object.ContentLength, object.ETag, object.LastModified), nil
}

// objectStamp is addressStamp of an object.
func objectStamp(ctx context.Context, u *url.URL) string {
	client, err := objects()
	if err != nil {
		return ""
	}
	bucket, key := objectKey(u)
	head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		return ""
	}
	return stampOfObject(head.ContentLength, head.ETag, head.LastModified)
}

func stampOfObject(size *int64, tag *string, modified *time.Time) string {
	return stampOf(aws.ToInt64(size), aws.ToString(tag), aws.ToTime(modified).UTC().Format(time.RFC1123))
}

// objectError says of which object an error is, in the words of the store, without the request. The AWS library has tried
// again what may pass soon.
func objectError(u *url.URL, err error) error {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		hint := ""
		switch e.ErrorCode() {
		case "PermanentRedirect", "AuthorizationHeaderMalformed", "MovedPermanently":
			hint = ": set AWS_REGION to the bucket's region"
		}
		err = fmt.Errorf("%s: the store says %s: %s%s", shown(u), e.ErrorCode(), e.ErrorMessage(), hint)
		if slices.Contains(objectCodes, e.ErrorCode()) {
			return err
		}
		return &passingError{err, false}
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return &passingError{fmt.Errorf("%s: %w", shown(u), err), false}
}

// objectCodes are the errors of a store that are about one object.
var objectCodes = []string{"NoSuchKey", "NotFound", "InvalidObjectState", "MethodNotAllowed", "KeyTooLongError", "InvalidArgument"}
