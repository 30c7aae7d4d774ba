use clap::{Args, ValueEnum};
use hepar::output::{Contents, MeshFormat, Pictures};

/// What a result's folder holds beside labels and tables.
#[derive(Debug, Args)]
pub struct ContentsArguments {
    /// Pictures as files, beside those in the report [default: preview]
    #[arg(long, value_enum, value_name = "WHICH")]
    pictures: Option<PicturesArgument>,
    /// Surfaces of liver and lesions as files
    #[arg(long, value_enum, value_name = "FORMAT")]
    mesh: Option<MeshArgument>,
    /// Show in the report where the scan was and what its header says of the patient
    #[arg(long)]
    identify: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PicturesArgument {
    /// None
    None,
    /// preview.png
    Preview,
    /// preview.png, montage.png and lesions/NN.png
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MeshArgument {
    /// mesh.glb, liver and lesions in one file
    Glb,
    /// mesh/liver.stl and mesh/lesion-NN.stl
    Stl,
}

impl ContentsArguments {
    /// Whether anything was asked for.
    pub fn is_given(&self) -> bool {
        self.pictures.is_some() || self.mesh.is_some() || self.identify
    }

    /// What was asked for, and what is in `default` where nothing was.
    pub fn over(&self, default: Contents) -> Contents {
        let pictures = self.pictures.map_or(default.pictures, |pictures| match pictures {
            PicturesArgument::None => Pictures::None,
            PicturesArgument::Preview => Pictures::Preview,
            PicturesArgument::All => Pictures::All,
        });
        let mesh = self.mesh.map(|mesh| match mesh {
            MeshArgument::Glb => MeshFormat::Glb,
            MeshArgument::Stl => MeshFormat::Stl,
        });
        Contents { pictures, mesh: mesh.or(default.mesh), identify: self.identify }
    }
}
