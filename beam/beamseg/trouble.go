package beamseg

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"syscall"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/torch"
)

// ofPath are the errors of the operating system that are about a path: another time and on another machine they are there, too.
var ofPath = []error{fs.ErrNotExist, fs.ErrPermission, syscall.EISDIR, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EINVAL}

// unreadable reports whether a picture's file cannot be read because of what it is. All else, such as a server that does not answer,
// credentials that are missing or an error of a disk, says nothing about the picture.
func unreadable(ctx context.Context, files filesystem.Interface, path string, err error) bool {
	if slices.ContainsFunc(ofPath, func(cause error) bool { return errors.Is(err, cause) }) {
		return true
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return false
	}
	// Stores have errors of their own for what is not there, which filesystem does not translate.
	found, err := files.List(ctx, path)
	return err == nil && len(found) == 0
}

// ofPicture reports whether an error of reading or segmenting is about the picture.
func ofPicture(err error) bool {
	if _, ok := errors.AsType[*torch.Error](err); ok {
		return false // memory that ran out, a device
	}
	is := func(_ any, ok bool) bool { return ok }
	return is(errors.AsType[*picture.Error](err)) || is(errors.AsType[*diffusioninst.ImageError](err)) ||
		is(errors.AsType[*diffusioninst.LimitError](err)) || is(errors.AsType[*nn.NotFiniteError](err))
}
