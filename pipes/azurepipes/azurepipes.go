// Package azurepipes has the Pipes context and channel on Azure Blob Storage. The program makes the client, with the
// credentials that it has:
//
//	client, err := azblob.NewClient("https://ACCOUNT.blob.core.windows.net", credential, nil)
//	…
//	opts := &pipes.Options{Context: azurepipes.New(client), Messages: azurepipes.New(client)}
//
// On the side of Dagster belong PipesAzureBlobStorageContextInjector and PipesAzureBlobStorageMessageReader of
// dagster-azure. A launcher without Azure works too: payloads without a container are left to the defaults of package
// pipes.
package azurepipes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// New returns the context and the channel on Azure Blob Storage. What the payloads of Dagster call a bucket is the
// container.
func New(client *azblob.Client) pipes.Blobs {
	return pipes.Blobs{Store: store{client}}
}

// store implements [pipes.BlobStore].
type store struct {
	client *azblob.Client
}

// Get implements [pipes.BlobStore].
func (s store) Get(ctx context.Context, container, key string) (data []byte, err error) {
	out, err := s.client.DownloadStream(ctx, container, key, nil)
	if err != nil {
		return nil, explain("read", container, key, err)
	}
	defer func() { err = errors.Join(err, out.Body.Close()) }()
	size := int64(0)
	if out.ContentLength != nil {
		size = *out.ContentLength
	}
	if data, err = pipes.ReadBlob(out.Body, size); err != nil {
		err = fmt.Errorf("read blob %s/%s: %w", container, key, err)
	}
	return data, err
}

// Create implements [pipes.BlobStore].
func (s store) Create(ctx context.Context, container, key string, data []byte) error {
	_, err := s.client.UploadBuffer(ctx, container, key, data, &azblob.UploadBufferOptions{
		HTTPHeaders: &blob.HTTPHeaders{BlobContentType: to.Ptr("application/json")},
		AccessConditions: &blob.AccessConditions{
			ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)},
		},
	})
	return explain("write", container, key, err)
}

// explain says which blob an error is about, and what kind of error it is.
func explain(verb, container, key string, err error) error {
	if err == nil {
		return nil
	}
	if bloberror.HasCode(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet) {
		return &fs.PathError{Op: verb, Path: container + "/" + key, Err: fs.ErrExist}
	}
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) { // the next attempt would see the same certificate
		return fmt.Errorf("%w: %s blob %s/%s: the service is not whom it says it is: %w: if an authority of your own vouches for it, "+
			"name the file of its certificate in SSL_CERT_FILE", pipes.ErrRefused, verb, container, key, untrusted)
	}
	var response *azcore.ResponseError
	if !errors.As(err, &response) {
		return fmt.Errorf("%s blob %s/%s: %w", verb, container, key, err)
	}
	text := fmt.Sprintf("%s blob %s/%s: %s (HTTP status %d)", verb, container, key, response.ErrorCode, response.StatusCode)
	switch response.StatusCode {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return fmt.Errorf("%w: %s", pipes.ErrRefused, text)
	}
	return errors.New(text)
}
