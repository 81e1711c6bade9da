package detectron2

// A Config is a DiffusionInst config file with its bases and defaults. It is checked: it
// describes a model that this module can build. Fields are named after their keys.
type Config struct {
	Version    int        `key:"VERSION"` // 2
	Model      Model      `key:"MODEL"`
	Input      Input      `key:"INPUT"`
	Datasets   Datasets   `key:"DATASETS"`
	DataLoader DataLoader `key:"DATALOADER"`
	Solver     Solver     `key:"SOLVER"`
	ModelEMA   ModelEMA   `key:"MODEL_EMA"`
	Test       Test       `key:"TEST"`
	OutputDir  string     `key:"OUTPUT_DIR"`
	Seed       int        `key:"SEED"` // negative: none

	CuDNNBenchmark bool `key:"CUDNN_BENCHMARK"` // lets cuDNN try its algorithms for a convolution and take the fastest
}

// Model describes the network.
type Model struct {
	MetaArchitecture string        `key:"META_ARCHITECTURE"` // "DiffusionInst"
	Weights          string        `key:"WEIGHTS"`           // file or URL, as written; may be empty
	Device           string        `key:"DEVICE"`            // "cuda", "cpu", "cuda:1"
	MaskOn           bool          `key:"MASK_ON"`           // without effect: DiffusionInst always has masks
	KeypointOn       bool          `key:"KEYPOINT_ON"`       // false
	LoadProposals    bool          `key:"LOAD_PROPOSALS"`    // false
	PixelMean        [3]float64    `key:"PIXEL_MEAN"`        // in the order of Input.Format, of 0…255
	PixelStd         [3]float64    `key:"PIXEL_STD"`
	Backbone         Backbone      `key:"BACKBONE"`
	ResNets          ResNets       `key:"RESNETS"` // used if Backbone.Name is ResNetFPN
	Swin             Swin          `key:"SWIN"`    // used if Backbone.Name is SwinFPN
	FPN              FPN           `key:"FPN"`
	DiffusionInst    DiffusionInst `key:"DiffusionInst"`
	ROIHeads         ROIHeads      `key:"ROI_HEADS"`
	ROIBoxHead       ROIBoxHead    `key:"ROI_BOX_HEAD"`
}

// Values of [Backbone].Name.
const (
	ResNetFPN = "build_resnet_fpn_backbone"
	SwinFPN   = "build_swintransformer_fpn_backbone"
)

// Backbone names the feature extractor.
type Backbone struct {
	Name     string `key:"NAME"`      // ResNetFPN or SwinFPN
	FreezeAt int    `key:"FREEZE_AT"` // number of first stages of a ResNet that are frozen: 2 freezes the stem and res2
}

// ResNets describes a ResNet.
type ResNets struct {
	Depth           int      `key:"DEPTH"`               // 18, 34, 50, 101 or 152
	OutFeatures     []string `key:"OUT_FEATURES"`        // res2 … res5
	NumGroups       int      `key:"NUM_GROUPS"`          // 1
	Norm            string   `key:"NORM"`                // "FrozenBN", "BN" or "SyncBN"
	WidthPerGroup   int      `key:"WIDTH_PER_GROUP"`     // channels of the 3×3 convolutions of res2
	StrideIn1x1     bool     `key:"STRIDE_IN_1X1"`       // stride in a block's first 1×1 convolution
	Res5Dilation    int      `key:"RES5_DILATION"`       // 1
	Res2OutChannels int      `key:"RES2_OUT_CHANNELS"`   // doubled by each later stage
	StemOutChannels int      `key:"STEM_OUT_CHANNELS"`   //
	DeformOnStage   []bool   `key:"DEFORM_ON_PER_STAGE"` // all false
	DeformModulated bool     `key:"DEFORM_MODULATED"`    // without effect
	DeformNumGroups int      `key:"DEFORM_NUM_GROUPS"`   // without effect
}

// Swin describes a Swin Transformer.
type Swin struct {
	Size          string `key:"SIZE"`                         // "T", "S", "B", "B-22k" and so on; checked by the user of the config
	UseCheckpoint bool   `key:"USE_CHECKPOINT" unused:"true"` // activation checkpointing: recomputes activations in the backward pass
	OutFeatures   []int  `key:"OUT_FEATURES"`                 // 0 … 3
}

// FPN describes the feature pyramid.
type FPN struct {
	InFeatures  []string `key:"IN_FEATURES"`  // all four of the backbone
	OutChannels int      `key:"OUT_CHANNELS"` // same as DiffusionInst.HiddenDim
	Norm        string   `key:"NORM"`         // ""
	FuseType    string   `key:"FUSE_TYPE"`    // "sum"
}

// DiffusionInst describes the decoder, its losses and its sampling.
type DiffusionInst struct {
	NumClasses      int     `key:"NUM_CLASSES"`           // K
	NumProposals    int     `key:"NUM_PROPOSALS"`         // N
	NHeads          int     `key:"NHEADS"`                // of the self-attention
	Dropout         float64 `key:"DROPOUT" unused:"true"` // in training
	DimFeedForward  int     `key:"DIM_FEEDFORWARD"`       // inner width of the feed-forward network
	Activation      string  `key:"ACTIVATION"`            // "relu"
	HiddenDim       int     `key:"HIDDEN_DIM"`            // d
	NumCls          int     `key:"NUM_CLS"`               // layers before the class scores
	NumReg          int     `key:"NUM_REG"`               // layers before the boxes and filters
	NumHeads        int     `key:"NUM_HEADS"`             // decoder stages S
	NumDynamic      int     `key:"NUM_DYNAMIC"`           // 2
	DimDynamic      int     `key:"DIM_DYNAMIC"`           // inner width of the dynamic convolution
	ClassWeight     float64 `key:"CLASS_WEIGHT"`          // of the loss, and in matching
	GIoUWeight      float64 `key:"GIOU_WEIGHT"`           // of the loss, and in matching
	L1Weight        float64 `key:"L1_WEIGHT"`             // of the loss, and in matching
	DeepSupervision bool    `key:"DEEP_SUPERVISION"`      // losses at every stage
	NoObjectWeight  float64 `key:"NO_OBJECT_WEIGHT"`      // of the background class if UseFocal and UseFedLoss are off
	UseFocal        bool    `key:"USE_FOCAL"`             // focal loss
	UseFedLoss      bool    `key:"USE_FED_LOSS"`          // federated loss (LVIS)
	Alpha           float64 `key:"ALPHA"`                 // of the focal loss
	Gamma           float64 `key:"GAMMA"`                 // of the focal loss
	PriorProb       float64 `key:"PRIOR_PROB"`            // score of an untrained model
	OTAK            int     `key:"OTA_K"`                 // IoUs that are summed for dynamic k
	SNRScale        float64 `key:"SNR_SCALE"`             // signal scale
	SampleStep      int     `key:"SAMPLE_STEP"`           // sampling steps
	UseNMS          bool    `key:"USE_NMS"`               //

	// The following keys are this module's, not the official project's.
	MaskUpsample     int       `key:"MASK_UPSAMPLE"`     // factor by which the mask features are enlarged: 1, 2 or 4
	MaskScore        float64   `key:"MASK_SCORE"`        // weight of masks' quality in scores, 0 to 0.9
	RelCoords        bool      `key:"REL_COORDS"`        // mask filters know where a pixel lies in the box
	MaskCoverage     bool      `key:"MASK_COVERAGE"`     // masks learn the covered parts of pixels instead of their centres
	SizePrior        []float64 `key:"SIZE_PRIOR"`        // mean and standard deviation of boxes' sides in input sizes; empty for none
	FilterRange      float64   `key:"FILTER_RANGE"`      // above 0 diffuses mask filters, whose numbers have about this size
	OwnSteps         float64   `key:"OWN_STEPS"`         // share of the pictures that start from what the model's own step made
	SelfConditioning bool      `key:"SELF_CONDITIONING"` // the decoder is told its own last estimate
	ScoreTarget      string    `key:"SCORE_TARGET"`      // class score that a match learns: "one", or the IoU of its "mask" or "box"
}

// ROIHeads says which pyramid levels boxes are pooled from.
type ROIHeads struct {
	InFeatures []string `key:"IN_FEATURES"` // p2 … p5
	NumClasses int      `key:"NUM_CLASSES"` // without effect: DiffusionInst.NumClasses is used
}

// ROIBoxHead describes the pooling of boxes and the federated loss.
type ROIBoxHead struct {
	PoolerType             string  `key:"POOLER_TYPE"`           // "ROIAlignV2"
	PoolerResolution       int     `key:"POOLER_RESOLUTION"`     // bins per side
	PoolerSamplingRatio    int     `key:"POOLER_SAMPLING_RATIO"` // samples per side of a bin, at least 1
	FedLossFreqWeightPower float64 `key:"FED_LOSS_FREQ_WEIGHT_POWER"`
	FedLossNumClasses      int     `key:"FED_LOSS_NUM_CLASSES"`
}

// Input describes how pictures become the network's input.
type Input struct {
	Format          string `key:"FORMAT"`                  // "RGB" or "BGR"
	MaskFormat      string `key:"MASK_FORMAT"`             // "polygon" or "bitmask"
	MinSizeTest     int    `key:"MIN_SIZE_TEST"`           // shortest side; 0: no resize
	MaxSizeTest     int    `key:"MAX_SIZE_TEST"`           // longest side
	MinSizeTrain    []int  `key:"MIN_SIZE_TRAIN"`          // shortest side in training
	MinSizeSampling string `key:"MIN_SIZE_TRAIN_SAMPLING"` // "choice" of MinSizeTrain, or "range" between its two values
	MaxSizeTrain    int    `key:"MAX_SIZE_TRAIN"`
	RandomFlip      string `key:"RANDOM_FLIP"` // "horizontal", "vertical", "none", or "both" (not in Detectron2)
	Crop            Crop   `key:"CROP"`

	// The following keys are this module's, not Detectron2's.
	Normalize        string      `key:"NORMALIZE"`   // "auto", "none" or "LO,HI": see picture.Normalize
	TileTest         int         `key:"TILE_TEST"`   // side of the tiles that a larger picture is cut into; 0 for none
	ScaleRange       []float64   `key:"SCALE_RANGE"` // of a random factor of the size, in place of MinSizeTrain; empty for none
	LargeScaleJitter ScaleJitter `key:"LARGE_SCALE_JITTER"`
	Rotate           bool        `key:"ROTATE"` // by a random multiple of 90°
	ColorJitter      ColorJitter `key:"COLOR_JITTER"`
	CopyPaste        float64     `key:"COPY_PASTE"` // share of the pictures that get objects of others
}

// ScaleJitter describes large-scale jitter (Ghiasi et al. 2021), in place of MinSizeTrain
// and Crop: the picture is resized by a random factor of a square's side, then cropped or
// padded to the square.
type ScaleJitter struct {
	Enabled bool       `key:"ENABLED"`
	Size    int        `key:"SIZE"`  // of the square, in pixels
	Range   [2]float64 `key:"RANGE"` // of the random factor
}

// ColorJitter describes random changes of the colours: factors within 1 ± the value, and
// rotations of the hue within ± the value, where 1 is the whole circle.
type ColorJitter struct {
	Brightness float64 `key:"BRIGHTNESS"`
	Contrast   float64 `key:"CONTRAST"`
	Saturation float64 `key:"SATURATION"`
	Hue        float64 `key:"HUE"`
}

// Crop describes random crops in training.
type Crop struct {
	Enabled bool       `key:"ENABLED"`
	Type    string     `key:"TYPE"` // "relative", "relative_range", "absolute" or "absolute_range"
	Size    [2]float64 `key:"SIZE"` // height and width, or their range: fractions of the picture, or pixels
}

// Datasets names registered data sets.
type Datasets struct {
	Train []string `key:"TRAIN"`
	Test  []string `key:"TEST"`
}

// DataLoader describes how training pictures are drawn.
type DataLoader struct {
	SamplerTrain           string  `key:"SAMPLER_TRAIN"` // "TrainingSampler" or "RepeatFactorTrainingSampler"
	RepeatThreshold        float64 `key:"REPEAT_THRESHOLD"`
	RepeatSqrt             bool    `key:"REPEAT_SQRT" unused:"true"`
	FilterEmptyAnnotations bool    `key:"FILTER_EMPTY_ANNOTATIONS"`
	AspectRatioGrouping    bool    `key:"ASPECT_RATIO_GROUPING"`
	NumWorkers             int     `key:"NUM_WORKERS"`
}

// Solver describes the optimisation. Loading checks names and ranges; package train
// checks what it supports.
type Solver struct {
	Optimizer          string        `key:"OPTIMIZER"` // "ADAMW" or "SGD"
	BackboneMultiplier float64       `key:"BACKBONE_MULTIPLIER"`
	ImsPerBatch        int           `key:"IMS_PER_BATCH"` // over all devices
	BaseLR             float64       `key:"BASE_LR"`
	BaseLREnd          float64       `key:"BASE_LR_END"`
	MaxIter            int           `key:"MAX_ITER"`
	Steps              []int         `key:"STEPS"` // iterations at which the rate is multiplied with Gamma
	Gamma              float64       `key:"GAMMA"`
	NumDecays          int           `key:"NUM_DECAYS"`
	RescaleInterval    bool          `key:"RESCALE_INTERVAL" unused:"true"`
	LRScheduler        string        `key:"LR_SCHEDULER_NAME"`
	WarmupMethod       string        `key:"WARMUP_METHOD"` // "linear" or "constant"
	WarmupFactor       float64       `key:"WARMUP_FACTOR"`
	WarmupIters        int           `key:"WARMUP_ITERS"`
	WeightDecay        float64       `key:"WEIGHT_DECAY"`
	WeightDecayNorm    float64       `key:"WEIGHT_DECAY_NORM"`
	WeightDecayBias    *float64      `key:"WEIGHT_DECAY_BIAS"` // nil: same as WeightDecay
	BiasLRFactor       float64       `key:"BIAS_LR_FACTOR"`
	Momentum           float64       `key:"MOMENTUM"`
	Nesterov           bool          `key:"NESTEROV"`
	ClipGradients      ClipGradients `key:"CLIP_GRADIENTS"`
	AMP                Switch        `key:"AMP"` // mixed precision in training
	CheckpointPeriod   int           `key:"CHECKPOINT_PERIOD"`
	Frozen             []string      `key:"FROZEN"` // this module's: starts of the names of what does not learn, besides FREEZE_AT's
}

// ClipGradients bounds gradients.
type ClipGradients struct {
	Enabled   bool    `key:"ENABLED"`
	ClipType  string  `key:"CLIP_TYPE"` // "value", "norm" (of each parameter) or "full_model"
	ClipValue float64 `key:"CLIP_VALUE"`
	NormType  float64 `key:"NORM_TYPE"` // may be infinite
}

// A Switch is a section that has only ENABLED.
type Switch struct {
	Enabled bool `key:"ENABLED"`
}

// ModelEMA describes the exponential moving average of the weights.
type ModelEMA struct {
	Enabled        bool    `key:"ENABLED"`
	Decay          float64 `key:"DECAY"`
	Device         string  `key:"DEVICE"` // empty: the model's
	UseForEvalOnly bool    `key:"USE_EMA_WEIGHTS_FOR_EVAL_ONLY"`
	YOLOX          bool    `key:"YOLOX" unused:"true"` // decay grows with the iterations, as in YOLOX
}

// Test describes evaluation.
type Test struct {
	EvalPeriod         int `key:"EVAL_PERIOD"` // iterations between evaluations in training; 0: none
	DetectionsPerImage int `key:"DETECTIONS_PER_IMAGE"`
	Aug                Aug `key:"AUG"`
}

// Aug describes test-time augmentation.
type Aug struct {
	Enabled     bool         `key:"ENABLED"`
	Flip        bool         `key:"FLIP"`
	MaxSize     int          `key:"MAX_SIZE"`
	MinSizes    []int        `key:"MIN_SIZES"`
	CvpodsTTA   bool         `key:"CVPODS_TTA"`
	ScaleFilter bool         `key:"SCALE_FILTER"`
	ScaleRanges [][2]float64 `key:"SCALE_RANGES"` // sizes of the boxes that are kept, for each of MinSizes
}
