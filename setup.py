"""The package that ``az extension add`` installs."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

setup(
    name="vmagent",
    version="1.0.0b1",
    description="Tell why a virtual machine's agent is not ready, and what to do about it.",
    long_description=(HERE / "README.md").read_text("utf-8") + "\n\n" + (HERE / "HISTORY.rst").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    author="vmagent contributors",
    url="https://github.com/Azure/azure-cli-extensions",
    python_requires=">=3.10",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: System Administrators",
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3",
    ],
    packages=find_packages(include=["azext_vmagent", "azext_vmagent.*"]),
    package_data={"azext_vmagent": ["azext_metadata.json", "guest/*.sh", "guest/*.ps1"]},
    install_requires=["azure-mgmt-compute>=34.1"],
)
